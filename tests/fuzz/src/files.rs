//! Settings: the file `.env`, and the value of any variable.

use chat_functions::settings::{Settings, VARIABLES, dot_env};

/// Bytes as the file.
pub fn dot_env(bytes: &[u8]) {
    let found = dot_env::parse(bytes);
    for (name, value) in &found.values {
        assert!(!name.contains(['=', '\n']) && !value.contains('\n'));
    }
}

/// The first byte chooses the variable, the others are its value; without and with the database that makes it production.
pub fn settings(bytes: &[u8]) {
    let Some((first, value)) = bytes.split_first() else { return };
    let (name, Ok(value)) = (VARIABLES[usize::from(*first) % VARIABLES.len()].name, std::str::from_utf8(value)) else { return };
    for database in [None, Some("mongodb://user:a-good-password@db.example.com/chat")] {
        let lookup = |variable: &str| match variable {
            variable if variable == name => Some(value.to_owned()),
            "MONGODB_URI" => database.map(str::to_owned),
            _ => None,
        };
        let Err(errors) = Settings::load(lookup) else { continue };
        // Short values stand in the messages by chance.
        let is_told = |problem: &str| value.len() > 12 && problem.contains(value);
        assert!(errors.iter().all(|error| !is_told(&error.problem)), "{name}: its value is in a message");
    }
}
