//! Which passwords may not be set because somebody would guess them.

use zxcvbn::matching::patterns::MatchPattern;
use zxcvbn::{Entropy, Score};

use crate::domain::Password;

/// A password below this many estimated guesses (10^8) falls to an attack on a stolen hash in no time.
const LOWEST_SCORE: Score = Score::Three;
/// Words that everybody who attacks this service tries first.
const PRODUCT_WORDS: [&str; 2] = ["chat-functions", "chatfunctions"];

/// Whether a password is on a list of common ones, made from one, a run of keys, or made from the person's own name.
/// `personal` are words that an attacker knows of the person. Takes milliseconds of processor time.
pub(super) fn is_guessable(password: &Password, personal: &[String]) -> bool {
    let text = password.expose();
    let known: Vec<&str> = personal.iter().map(String::as_str).chain(PRODUCT_WORDS).collect();
    let whole = zxcvbn::zxcvbn(text, &known);
    whole.score() < LOWEST_SCORE || is_one_known_word(&whole) || is_one_known_word(&zxcvbn::zxcvbn(unpadded(text), &known))
}

/// The text without digits and punctuation around it: padding makes the estimate grow, but not the secret.
fn unpadded(text: &str) -> &str {
    text.trim_matches(|c: char| !c.is_alphabetic())
}

/// Whether all the letters are in a single common password, name, word, repetition or run of keys. A word may end in
/// digits of its own, so it is found with its padding and without.
fn is_one_known_word(estimate: &Entropy) -> bool {
    use MatchPattern::{Dictionary, Repeat, Sequence, Spatial};
    let mut lettered = estimate.sequence().iter().filter(|part| part.token.contains(char::is_alphabetic));
    let (Some(only), None) = (lettered.next(), lettered.next()) else { return false };
    matches!(only.pattern, Dictionary(_) | Repeat(_) | Sequence(_) | Spatial(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(text: &str) -> bool {
        let personal = ["annabelle.lee".to_owned(), "a.lee.1987".to_owned()];
        is_guessable(&Password::parse(text).expect("within the limits"), &personal)
    }

    #[test]
    fn several_unrelated_words_and_random_characters_pass() {
        for good in ["correct horse battery staple", "tulip-gravel-onion", "x7#Qm2vL9$", "ÄpfelÜberZürich42", "  spaced out words  "] {
            assert!(!is_refused(good), "{good}");
        }
    }

    #[test]
    fn what_attackers_try_first_is_refused() {
        let common = [
            "password",
            "Password1",
            "password123!!",
            "!!!!dragon!!!!",
            "dragondragon",
            "99999dragon99999",
            "iloveyou2026!#%",
            "ncc1701!!8402##%4",
            "##%!!8402thx1138",
            "abababababab",
            "aaaaaaaaaaaa",
            "qwertyuiop",
            "1qaz2wsx3edc",
            "abcdefghijkl",
            "12345678901234567890",
            "!@#$%^&*()",
            "annabelle.lee",
            "annabelle.lee2026!!",
            "a.lee.1987",
            "a.lee.19872026!!",
            "chat-functions",
            "ChatFunctions99!!",
        ];
        for text in common {
            assert!(is_refused(text), "{text}");
        }
    }
}
