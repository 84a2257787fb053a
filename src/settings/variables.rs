//! The one table of variables, from which `--help` is printed and against which README is checked.

/// A variable of the environment.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What holds when it is not set, in words.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// Every variable that is read.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: "JWT_SECRET",
        default: "made once in the data folder (development only)",
        meaning: "key of the tokens, 32 bytes or more",
    },
    Variable {
        name: "MONGODB_URI",
        default: "-",
        meaning: "`mongodb://` or `mongodb+srv://`; the database is the URI's path, else `chat`. Unset: the embedded store",
    },
    Variable {
        name: "DATA_DIR",
        default: "`data`",
        meaning: "folder of the embedded store and the made key; in production the embedded store serves only when this is set",
    },
    Variable {
        name: "FUNCTIONS_CUSTOMHANDLER_PORT",
        default: "-",
        meaning: "set by the Functions host: listen on 127.0.0.1 and this port",
    },
    Variable { name: "LISTEN", default: "`127.0.0.1:8080`", meaning: "where to listen when there is no host; port 0 takes a free one" },
    Variable {
        name: "APP_ENV",
        default: "`development` on loopback with the embedded store and no host, else `production`",
        meaning: "`development` or `production`; production refuses to start with missing or weak settings",
    },
    Variable {
        name: "PUBLIC_BASE_URL",
        default: "- (required in production)",
        meaning: "where people reach the API, e.g. `https://chat.example.com`; `https` adds HSTS to every answer",
    },
    Variable { name: "SERVICES", default: "`auth,users,chat`", meaning: "which services this process serves" },
    Variable { name: "PASSWORD_MIN_CHARS", default: "`8`", meaning: "shortest password that may be set; may only rise" },
    Variable { name: "ARGON2_MEMORY_KIB", default: "`19456`", meaning: "memory of a password hash; may only rise" },
    Variable { name: "ARGON2_PASSES", default: "`2`", meaning: "passes of a password hash; may only rise" },
    Variable { name: "CORS_ORIGINS", default: "none", meaning: "exact origins whose pages may call the API, comma separated" },
    Variable { name: "RUST_LOG", default: "`info`", meaning: "which log lines are written (env_logger's filter)" },
    Variable {
        name: "LOG_FORMAT",
        default: "`json` under a host or in production, else `text`",
        meaning: "`json` or `text`; one line an event, to standard output",
    },
];
