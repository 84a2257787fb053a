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
        name: "JWT_SECRET_PREVIOUS",
        default: "-",
        meaning: "another key that verifies and signs nothing: first the next one, then the former, to change the key without logging anybody out",
    },
    Variable {
        name: "MONGODB_URI",
        default: "-",
        meaning: "`mongodb://` or `mongodb+srv://`; the database is the URI's path, else `chat`; a user who may read and write it (`readWrite`) is enough. Unset: the embedded store",
    },
    Variable {
        name: "DATA_DIR",
        default: "`data`",
        meaning: "folder of the embedded store, the made key and mail as files; in production the embedded store serves only when this is set",
    },
    Variable {
        name: "FUNCTIONS_CUSTOMHANDLER_PORT",
        default: "-",
        meaning: "set by the Functions host: listen on 127.0.0.1 and this port",
    },
    Variable { name: "LISTEN", default: "`127.0.0.1:8080`", meaning: "where to listen when there is no host; port 0 takes a free one" },
    Variable {
        name: "METRICS_LISTEN",
        default: "-",
        meaning: "where to tell Prometheus metrics, at `/metrics` and on loopback only, e.g. `127.0.0.1:9090`",
    },
    Variable {
        name: "APP_ENV",
        default: "`development` on loopback with the embedded store and no host, else `production`",
        meaning: "`development` or `production`; production refuses to start with missing or weak settings",
    },
    Variable {
        name: "PUBLIC_BASE_URL",
        default: "- (required in production)",
        meaning: "where people reach the API, e.g. `https://chat.example.com`; `https` adds HSTS (for this host alone) to every answer",
    },
    Variable {
        name: "MAIL_URL",
        default: "`file:` in development, `none` in production",
        meaning: "how mail leaves: `smtp://user:password@host:587` (STARTTLS, which only this machine may lack), `smtps://user:password@host:465` (TLS), \
                  `none` (mail routes answer 503); not in production: `file:FOLDER` (a `.eml` file each; `file:` takes `DATA_DIR/mail`), `log:`",
    },
    Variable {
        name: "MAIL_FROM",
        default: "`chat-functions <no-reply@localhost>`; required in production with a mail server elsewhere",
        meaning: "who mail comes from",
    },
    Variable {
        name: "MAIL_CA_FILE",
        default: "-",
        meaning: "PEM file of certificate authorities that the mail server is trusted by besides the public ones",
    },
    Variable { name: "SERVICES", default: "`auth,users,chat`", meaning: "which services this process serves" },
    Variable {
        name: "REGISTRATION",
        default: "`open`",
        meaning: "`open`, or `verified`: nobody logs in before their address is verified, and registering does not tell whose address has an account",
    },
    Variable { name: "PASSWORD_MIN_CHARS", default: "`8`", meaning: "shortest password that may be set; may only rise" },
    Variable { name: "ARGON2_MEMORY_KIB", default: "`19456`", meaning: "memory of a password hash; may only rise" },
    Variable { name: "ARGON2_PASSES", default: "`2`", meaning: "passes of a password hash; may only rise" },
    Variable {
        name: "CORS_ORIGINS",
        default: "none",
        meaning: "exact origins whose pages may call the API, comma separated, also of apps such as `capacitor://localhost`",
    },
    Variable {
        name: "CLIENT_IP",
        default: "`peer`; in Azure `xff:1`",
        meaning: "whose address is limited: `peer` (the connection's other end), `xff:N` (the N-th entry of `X-Forwarded-For` from the right) or `header:NAME` (a header that the proxy overwrites)",
    },
    Variable {
        name: "TRUSTED_PROXIES",
        default: "loopback",
        meaning: "networks and addresses whose forwarding headers are believed, comma separated; loopback always is",
    },
    Variable { name: "LIMITS", default: "`on`", meaning: "`off` switches all rate limits off; refused in production" },
    Variable {
        name: "LIMIT_LOGIN_ACCOUNT_NET",
        default: "`5/15m`",
        meaning: "failed log-ins to one account from one net, written `count/window`",
    },
    Variable {
        name: "LIMIT_LOGIN_ACCOUNT",
        default: "`30/1h`",
        meaning: "failed log-ins to one account from all nets without a good log-in to it in 30 days",
    },
    Variable { name: "LIMIT_LOGIN_NET", default: "`50/15m`", meaning: "failed log-ins from one net to all accounts" },
    Variable { name: "LIMIT_REGISTER", default: "`10/1h`", meaning: "registrations from one net" },
    Variable { name: "LIMIT_MAIL_TOKEN", default: "`20/15m`", meaning: "mail tokens from one net that are not valid" },
    Variable {
        name: "LIMIT_MAIL_ADDRESS",
        default: "`3/1h`",
        meaning: "mails of one kind asked for to one address; further ones are silently not sent",
    },
    Variable { name: "LIMIT_MAIL_NET", default: "`10/1h`", meaning: "mails asked for from one net" },
    Variable {
        name: "LIMIT_PASSWORD_CHECK",
        default: "`5/15m`",
        meaning: "wrong current passwords of one person, or of a registration that waits",
    },
    Variable { name: "LIMIT_NEW_CHATS", default: "`50/1d`", meaning: "chats that one person begins with people who have not added them" },
    Variable {
        name: "LIMIT_SEND",
        default: "`20/10s`",
        meaning: "messages that one person sends; this and the following limits are kept by each process for itself",
    },
    Variable { name: "LIMIT_READ", default: "`100/5s`", meaning: "other requests of one person" },
    Variable { name: "LIMIT_SEARCH", default: "`30/1m`", meaning: "searches of one person" },
    Variable { name: "LIMIT_ANONYMOUS", default: "`60/30s`", meaning: "requests from one net without a valid token" },
    Variable { name: "MAX_POLLS_PER_SESSION", default: "`4`", meaning: "requests of one session that wait for news at a time" },
    Variable { name: "MAX_POLLS_PER_USER", default: "`10`", meaning: "requests of one person that wait for news at a time" },
    Variable { name: "MAX_POLLS", default: "`5000`", meaning: "requests that wait for news in this process" },
    Variable { name: "RUST_LOG", default: "`info`", meaning: "which log lines are written (env_logger's filter)" },
    Variable {
        name: "LOG_FORMAT",
        default: "`json` under a host or in production, else `text`",
        meaning: "`json` or `text`; one line an event, to standard output",
    },
];

/// What else is read, by libraries and of the platform: whether a terminal has colours (`anstream`), what the driver tells MongoDB of
/// where it runs, how panics are told and how large stacks are (Rust), where SQLite keeps what it sorts, and whether this is Azure.
pub(super) const READ_BY_LIBRARIES: &[&str] = &[
    "CI",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLORTERM",
    "NO_COLOR",
    "TERM",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "FUNCTIONS_WORKER_RUNTIME",
    "FUNCTION_MEMORY_MB",
    "FUNCTION_NAME",
    "FUNCTION_REGION",
    "FUNCTION_TIMEOUT_SEC",
    "KUBERNETES_SERVICE_HOST",
    "K_SERVICE",
    "VERCEL",
    "VERCEL_REGION",
    "RUST_BACKTRACE",
    "RUST_LIB_BACKTRACE",
    "RUST_MIN_STACK",
    "SQLITE_TMPDIR",
    "TMPDIR",
    "WEBSITE_INSTANCE_ID",
    "WEBSITE_SITE_NAME",
];
