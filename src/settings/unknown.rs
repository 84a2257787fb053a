//! Variables that look like ours and are not: most likely a typing error, whose default would go on unnoticed.

use super::VARIABLES;

/// Beginnings of names that only this program has a use for.
const PREFIXES: [&str; 4] = ["CHAT_", "LIMIT_", "MAIL_", "METRICS_"];

/// What to tell of each variable that is not read though its name begins as ours do. Never the value.
pub(super) fn warnings(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut unknown: Vec<String> = names.into_iter().filter(|name| is_unknown(name)).collect();
    unknown.sort_unstable();
    unknown.dedup();
    unknown.iter().map(|name| format!("{name} is no setting and is not read; the nearest one is {}", nearest(name))).collect()
}

fn is_unknown(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) && !VARIABLES.iter().any(|variable| variable.name == name)
}

fn nearest(name: &str) -> &'static str {
    let known = VARIABLES.iter().map(|variable| variable.name);
    known.min_by_key(|known| strsim::osa_distance(known, name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_is_told_with_the_nearest_name() {
        let names = ["LIMIT_SNED", "LIMIT_LOGIN_ACCOUNTNET", "LIMIT_SEND", "PATH", "LIMIT_SNED", "limit_read"];
        let told = warnings(names.map(str::to_owned));
        let expected = [("LIMIT_LOGIN_ACCOUNTNET", "LIMIT_LOGIN_ACCOUNT_NET"), ("LIMIT_SNED", "LIMIT_SEND")];
        assert_eq!(told, expected.map(|(name, nearest)| format!("{name} is no setting and is not read; the nearest one is {nearest}")));
    }
}
