//! The file `.env`: a list of `NAME=value` lines, each value to the letter.
//!
//! Nothing is expanded and nothing is an escape, so that a secret is the same whatever is in it. The other readers of such files
//! differ from each other: a shell and Docker Compose replace `$NAME`, systemd reads `\` inside quotes, `docker --env-file` keeps
//! the quotes. The rules here:
//! - Lines end with LF or CRLF. Blank lines, and lines whose first character is `#`, are skipped. There is no other comment.
//! - `export` may come before the name. Blanks around the name and around the value do not count.
//! - If the value begins and ends with the same quote, `"` or `'`, this one pair is taken off; what is between is kept as it is.
//! - Of two lines with one name the later one counts.

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct DotEnv {
    /// Names and values, in the order of the lines.
    pub values: Vec<(String, String)>,
    /// What is wrong, with the name that it is about if there is one. Never a value.
    pub mistakes: Vec<(Option<String>, String)>,
    /// What is odd and not wrong.
    pub warnings: Vec<String>,
}

/// Reads the bytes of a file.
#[must_use]
pub fn parse(bytes: &[u8]) -> DotEnv {
    let mut found = DotEnv::default();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.contains(&0) || bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        found.mistakes.push((None, "is not UTF-8 text: save it as UTF-8".to_owned()));
        return found;
    }
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line).trim_ascii();
        if !line.is_empty() && !line.starts_with(b"#") {
            found.read_line(line, index + 1);
        }
    }
    found
}

impl DotEnv {
    fn read_line(&mut self, line: &[u8], number: usize) {
        let Some((name, value)) = split(line) else {
            self.mistakes.push((None, format!("line {number} is not NAME=value")));
            return;
        };
        let Ok(value) = std::str::from_utf8(value) else {
            self.mistakes.push((Some(name), format!("is not UTF-8 text in line {number} of .env")));
            return;
        };
        if is_unclosed(value) {
            let problem = format!(
                "begins with a quote and does not end with it in line {number} of .env: close it, or put a pair of the other quotes around \
                 the value; a comment needs a line of its own"
            );
            self.mistakes.push((Some(name), problem));
            return;
        }
        let inner = unquoted(value);
        if inner.is_none() && (value.contains(" #") || value.contains("\t#")) {
            self.warnings
                .push(format!("{name} has a # in line {number} of .env, which is part of the value; a comment needs a line of its own"));
        }
        self.values.push((name, inner.unwrap_or(value).to_owned()));
    }
}

/// The name of a line and what stands behind the first `=`.
fn split(line: &[u8]) -> Option<(String, &[u8])> {
    let at = line.iter().position(|byte| *byte == b'=')?;
    let name = std::str::from_utf8(&line[..at]).ok()?.trim_ascii();
    let name = name.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).map_or(name, str::trim_ascii);
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_good = name.bytes().all(is_name) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    is_good.then(|| (name.to_owned(), line[at + 1..].trim_ascii()))
}

/// The quote that a value begins with.
fn opening_quote(value: &str) -> Option<char> {
    value.chars().next().filter(|first| matches!(first, '"' | '\''))
}

/// What is between one pair of quotes around a whole value.
pub(super) fn unquoted(value: &str) -> Option<&str> {
    let quote = opening_quote(value)?;
    value.strip_prefix(quote)?.strip_suffix(quote)
}

/// Whether a value begins with a quote that nothing closes, or whose pair ends before a comment. `"Chat, the" <a@b.example>` is a value.
fn is_unclosed(value: &str) -> bool {
    let Some(quote) = opening_quote(value).filter(|_| unquoted(value).is_none()) else { return false };
    value[1..].split_once(quote).is_none_or(|(_, rest)| rest.trim_start().starts_with('#'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value_of(line: &str) -> Result<String, String> {
        let mut found = parse(format!("# first\n{line}\n").as_bytes());
        match (found.values.pop(), found.mistakes.pop()) {
            (Some((_, value)), None) => Ok(value),
            (None, Some((name, problem))) => Err(format!("{}: {problem}", name.unwrap_or_default())),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_value_is_taken_to_the_letter_but_for_one_pair_of_quotes() {
        for (line, value) in [
            ("A=Zk3$HOMEq8vN$wm1x${PATH}", "Zk3$HOMEq8vN$wm1x${PATH}"),
            ("A=\"Zk3$HOMEq8vN\"", "Zk3$HOMEq8vN"),
            (r#"A="a\n\"b\$""#, r#"a\n\"b\$"#),
            (r"A=a\ b\\", r"a\ b\\"),
            ("A='it''s'", "it''s"),
            ("A=\"'a'\"", "'a'"),
            ("A=\"\"a\"\"", "\"a\""),
            ("A=a\"", "a\""),
            ("A=\"  a \"", "  a "),
            ("  export\tA = a b \t", "a b"),
            ("exportA=1", "1"),
            ("A=a=b==", "a=b=="),
            ("A=", ""),
            ("A=\"\"", ""),
            ("A=a#b", "a#b"),
            ("A=a #b", "a #b"),
            ("A=`id` $(id) %PATH% !!", "`id` $(id) %PATH% !!"),
            ("A=\"Chat, the\" <a@b.example>", "\"Chat, the\" <a@b.example>"),
            ("A=sch\u{fc}ssel\u{1f600}", "sch\u{fc}ssel\u{1f600}"),
        ] {
            assert_eq!(value_of(line).as_deref(), Ok(value), "{line}");
        }
    }

    #[test]
    fn what_is_no_value_is_named_by_its_line_and_never_quoted() {
        for (line, told) in [
            ("oops", ": line 2 is not NAME=value"),
            ("=oops", ": line 2 is not NAME=value"),
            ("1A=oops", ": line 2 is not NAME=value"),
            ("A B=oops", ": line 2 is not NAME=value"),
            ("A=\"oops", "A: begins with a quote"),
            ("A=\"", "A: begins with a quote"),
            ("A='oops\"", "A: begins with a quote"),
            ("A=\"oops\" # a comment", "A: begins with a quote"),
        ] {
            let problem = value_of(line).expect_err(line);
            assert!(problem.starts_with(told) && !problem.contains("oops"), "{line}: {problem}");
        }
        let latin = parse(b"A=oops\xfc\n# \xfc is no matter here\nB=1");
        assert_eq!(latin.mistakes, [(Some("A".to_owned()), "is not UTF-8 text in line 1 of .env".to_owned())]);
        assert_eq!(latin.values, [("B".to_owned(), "1".to_owned())]);
        for other in [&b"\xff\xfeA\0=\x001\0"[..], b"A\0=\x001\0"] {
            assert_eq!(parse(other).mistakes, [(None, "is not UTF-8 text: save it as UTF-8".to_owned())]);
        }
    }

    #[test]
    fn lines_may_end_as_on_any_system_and_a_later_one_counts() {
        let found = parse(b"\xef\xbb\xbfA=1\r\n\r\n \t\r\n  # B=2\r\nA=\"2\"\r\nB=3");
        let pairs = [("A", "1"), ("A", "2"), ("B", "3")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!((found.values, found.mistakes), (pairs.to_vec(), Vec::new()));
    }

    #[test]
    fn what_may_be_meant_as_a_comment_is_told() {
        let warned = |line: &str| !parse(line.as_bytes()).warnings.is_empty();
        assert!(warned("A=a # b") && warned("A=a\t#b"));
        assert!(!warned("A=\"a # b\"") && !warned("A=a#b") && !warned("# A # b"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn whatever_stands_in_quotes_is_the_value(value in "[^\\n\\r\\x00]{0,40}", quote in "[\"']") {
            let found = parse(format!("NAME={quote}{value}{quote}").as_bytes());
            prop_assert_eq!(found.values, [("NAME".to_owned(), value)]);
        }
    }
}
