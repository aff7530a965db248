use std::fmt;

use serde::Deserialize;

/// Most error texts that are kept of one answer.
const TEXTS: usize = 3;
/// Most characters that are kept of one text.
const TEXT_LENGTH: usize = 300;

/// Bytes of a secret in a row that must not be shown.
const TELLING: usize = 16;

/// What the server said when it refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    texts: Vec<String>,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<String>,
}

impl Answer {
    /// Reads the error texts. One that repeats something `hidden`, or a part of it, is withheld.
    pub(crate) fn new(status: u16, body: &[u8], hidden: &[&str]) -> Self {
        // Proxies on the way answer with pages of their own; nothing of them is shown.
        let errors =
            serde_json::from_slice(body).map_or_else(|_| Vec::new(), |Errors { errors }| errors);
        let texts = errors.iter().take(TEXTS).map(|text| {
            if hidden.iter().any(|hidden| repeats(text, hidden)) {
                return "(withheld, as it repeats a secret)".to_owned();
            }
            let words: Vec<&str> = text.split_whitespace().collect();
            let text = words.join(" ");
            let printable = text.chars().filter(|character| !character.is_control());
            printable.take(TEXT_LENGTH).collect()
        });
        Self {
            status,
            texts: texts.collect(),
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The server's error texts, shortened.
    #[must_use]
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Whether a text holds this.
    pub(crate) fn says(&self, part: &str) -> bool {
        self.texts.iter().any(|text| text.contains(part))
    }
}

/// Whether the text has as much of the secret as tells something.
fn repeats(text: &str, hidden: &str) -> bool {
    let (text, hidden) = (text.as_bytes(), hidden.as_bytes());
    let length = hidden.len().min(TELLING);
    let holds = |part: &[u8]| text.windows(length).any(|window| window == part);
    length > 0 && hidden.windows(length).any(holds)
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.status)?;
        for text in &self.texts {
            write!(f, ", {text:?}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_one_line_and_short() {
        let body =
            br#"{"errors":["1 error occurred:\n\t* permission denied\n\n","\u001b[31mred"]}"#;
        let answer = Answer::new(403, body, &[]);
        assert_eq!(
            answer.to_string(),
            r#"status 403, "1 error occurred: * permission denied", "[31mred""#
        );
        let long = format!(r#"{{"errors":["{}"]}}"#, "a".repeat(1000));
        let answer = Answer::new(400, long.as_bytes(), &[]);
        assert_eq!(answer.texts()[0].len(), TEXT_LENGTH);
    }

    #[test]
    fn a_text_that_repeats_a_secret_is_withheld() {
        let body = br#"{"errors":["bad input AAAA","fine"]}"#;
        let answer = Answer::new(400, body, &["AAAA"]);
        assert_eq!(
            answer.texts(),
            ["(withheld, as it repeats a secret)", "fine"]
        );
    }

    #[test]
    fn a_text_that_repeats_a_part_of_a_secret_is_withheld() {
        let secret = "vault:v1:0123456789abcdefghijklmnop";
        for (text, shown) in [("9abcdefghijklmno", false), ("9abcdefghijklmn", true)] {
            let body = format!(r#"{{"errors":["near {text}..."]}}"#);
            let answer = Answer::new(400, body.as_bytes(), &[secret]);
            assert_eq!(answer.says(text), shown, "{answer}");
        }
    }

    #[test]
    fn a_page_of_a_proxy_is_not_shown() {
        let answer = Answer::new(502, b"<html>bad gateway</html>", &[]);
        assert_eq!(answer.to_string(), "status 502");
    }
}
