//! Where values come from: the environment and, for what it lacks, the file `.env`. Each is taken as it is written, or refused by name.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, ErrorKind};

use super::dot_env::{self, unquoted};
use super::variables::READ_BY_LIBRARIES;
use super::{SettingError, VARIABLES, unknown};

/// The values, and what is wrong or odd about how they are written.
///
/// Of a variable that is refused there is a value all the same, as near as can be to what is meant, so that what depends on its being
/// set is judged as it will be.
pub(super) struct Source {
    values: HashMap<String, String>,
    pub(super) errors: Vec<SettingError>,
    pub(super) warnings: Vec<String>,
}

impl Source {
    /// The environment of the process, and `.env` in the working directory.
    pub(super) fn of_process() -> Self {
        Self::new(std::env::vars_os(), std::fs::read(".env"))
    }

    fn new(environment: impl IntoIterator<Item = (OsString, OsString)>, file: io::Result<Vec<u8>>) -> Self {
        let mut source = Self { values: HashMap::new(), errors: Vec::new(), warnings: Vec::new() };
        let mut names = Vec::new();
        match file {
            Ok(bytes) => source.take_file(&bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => source.refuse(".env", format!("cannot be read: {error}")),
        }
        names.extend(source.values.keys().cloned());
        for (name, value) in environment {
            let name = name.to_string_lossy().into_owned();
            source.take_variable(&name, value);
            names.push(name);
        }
        source.warnings.extend(unknown::warnings(names));
        source
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    fn take_file(&mut self, bytes: &[u8]) {
        let file = dot_env::parse(bytes);
        for (name, problem) in file.mistakes {
            match name.as_deref() {
                None => self.refuse(".env", problem),
                Some(name) => match setting(name) {
                    Some(known) => self.refuse(known, problem),
                    None => self.refuse(".env", format!("{name} {problem}")),
                },
            }
        }
        self.warnings.extend(file.warnings);
        self.values.extend(file.values);
    }

    fn take_variable(&mut self, name: &str, value: OsString) {
        let own = setting(name);
        let Some(known) = own.or_else(|| READ_BY_LIBRARIES.iter().find(|known| **known == name).copied()) else { return };
        let value = value.into_string().unwrap_or_else(|bytes| {
            self.refuse(known, "is not UTF-8 text");
            bytes.to_string_lossy().into_owned()
        });
        if own.is_none() {
            self.values.insert(name.to_owned(), value);
            return;
        }
        // Docker's --env-file hands on quotes, and the CR of a line that ends as on Windows.
        if value.trim() != value {
            self.refuse(known, "begins or ends with a blank or a line break, which is part of a value in the environment: take it off");
        } else if unquoted(&value).is_some() {
            self.refuse(known, "stands in quotes, which are part of a value in the environment: take them off");
        }
        let value = value.trim();
        self.values.insert(name.to_owned(), unquoted(value).unwrap_or(value).to_owned());
    }

    fn refuse(&mut self, variable: &'static str, problem: impl Into<String>) {
        self.errors.push(SettingError { variable, problem: problem.into() });
    }
}

/// The name of a setting, as the table has it.
fn setting(name: &str) -> Option<&'static str> {
    VARIABLES.iter().map(|variable| variable.name).find(|known| *known == name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    fn source(environment: &[(&str, &[u8])], file: &str) -> Source {
        let environment = environment.iter().map(|(name, value)| ((*name).into(), OsString::from_vec(value.to_vec())));
        Source::new(environment, Ok(file.into()))
    }

    fn told(source: &Source) -> Vec<String> {
        source.errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_variable_that_anything_here_reads_is_refused_by_name_when_it_is_no_text() {
        for name in VARIABLES.iter().map(|variable| variable.name).chain(READ_BY_LIBRARIES.iter().copied()) {
            assert_eq!(told(&source(&[(name, b"oops\xff")], "")), [format!("{name}: is not UTF-8 text")]);
        }
        assert!(source(&[("SOMEBODY_ELSES", b"oops\xff")], "").errors.is_empty());
    }

    #[test]
    fn what_surrounds_a_value_in_the_environment_is_refused_and_in_the_file_taken_off() {
        for name in VARIABLES.iter().map(|variable| variable.name) {
            for bad in [&b"\"oops\""[..], b"'oops'", b"\"\"", b"oops\r", b" oops", b"oops\n"] {
                let refused = source(&[(name, bad)], "");
                assert!(matches!(&told(&refused)[..], [one] if one.starts_with(&format!("{name}: ")) && !one.contains("oops")), "{name}");
            }
            for good in ["\"a $b\"", "'a $b'", " a $b \r"] {
                assert_eq!(source(&[], &format!("{name}={good}")).get(name).as_deref(), Some("a $b"));
            }
        }
        let sender = "\"Chat, the\" <a@b.example>";
        assert_eq!(source(&[("MAIL_FROM", sender.as_bytes())], "").get("MAIL_FROM").as_deref(), Some(sender));
        assert!(told(&source(&[("MAIL_FROM", sender.as_bytes())], "")).is_empty());
    }

    #[test]
    fn the_environment_comes_before_the_file_though_it_be_empty() {
        let both = source(&[("LISTEN", b"1"), ("SERVICES", b"")], "LISTEN=2\nSERVICES=auth\nLIMITS=off\nLIMIT_SNED=1/1s");
        let values = ["LISTEN", "SERVICES", "LIMITS"].map(|name| both.get(name));
        assert_eq!(values, ["1", "", "off"].map(|value| Some(value.to_owned())));
        assert!(both.warnings[0].starts_with("LIMIT_SNED is no setting"), "{:?}", both.warnings);
    }

    #[test]
    fn a_mistake_in_the_file_has_the_name_of_its_variable() {
        let source = source(&[], "JWT_SECRET='oops\nOTHER='oops\noops");
        let expected = ["JWT_SECRET: begins with", ".env: OTHER begins with", ".env: line 3 is not NAME=value"];
        assert_eq!(source.errors.len(), 3);
        assert!(
            told(&source).iter().zip(expected).all(|(told, start)| told.starts_with(start) && !told.contains("oops")),
            "{:?}",
            told(&source)
        );
    }
}
