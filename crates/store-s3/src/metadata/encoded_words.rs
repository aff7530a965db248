//! Text that S3 returns encoded twice.
//!
//! S3 reads the bytes of a header as Latin-1 and returns what is not ASCII as UTF-8 in encoded words
//! (RFC 2047). So each character of such a word stands for one byte of the text that was sent.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The text that was sent. One that S3 did not encode comes back as it is.
pub(super) fn decode(value: &str) -> Cow<'_, str> {
    let text = decode_words(value);
    if text.chars().any(is_high_byte) {
        return bytes_as_text(&text).into();
    }
    text
}

fn decode_words(value: &str) -> Cow<'_, str> {
    let mut decoded = Vec::with_capacity(value.len());
    let (mut rest, mut after_word, mut found) = (value, false, false);
    while let Some((before, after)) = rest.split_once("=?") {
        let word = decode_word(after);
        // White space between two words only separates them.
        let separator = after_word && word.is_some() && before.trim_ascii().is_empty();
        if !separator {
            decoded.extend_from_slice(before.as_bytes());
        }
        after_word = word.is_some();
        found |= after_word;
        rest = if let Some((bytes, rest)) = word {
            decoded.extend_from_slice(&bytes);
            rest
        } else {
            decoded.extend_from_slice(b"=?");
            after
        };
    }
    decoded.extend_from_slice(rest.as_bytes());
    match String::from_utf8(decoded) {
        Ok(text) if found => text.into(),
        // Words that are not UTF-8 are not S3's. As they stand, no reader takes them for JSON.
        _ => value.into(),
    }
}

/// The bytes in the word that begins here, behind its `=?`, and what follows it.
fn decode_word(text: &str) -> Option<(Vec<u8>, &str)> {
    let (charset, rest) = text.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (content, rest) = rest.split_once("?=")?;
    let bytes = match encoding {
        "B" | "b" => STANDARD.decode(content).ok(),
        "Q" | "q" => decode_q(content),
        _ => None,
    };
    let bytes = bytes.filter(|_| charset.eq_ignore_ascii_case("utf-8"))?;
    Some((bytes, rest))
}

fn decode_q(content: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(content.len());
    let mut bytes = content.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'=' => hexadecimal(bytes.next()?)? << 4 | hexadecimal(bytes.next()?)?,
            b'_' => b' ',
            b'!'..=b'~' if byte != b'?' => byte,
            _ => return None,
        });
    }
    Some(decoded)
}

fn hexadecimal(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// Each run of characters that stand for bytes becomes the text of these bytes. A run that is no
/// UTF-8 stays: some servers encode the true text, once.
fn bytes_as_text(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_high_byte) {
        let (before, run) = rest.split_at(start);
        let end = run.find(|character| !is_high_byte(character));
        let (run, after) = run.split_at(end.unwrap_or(run.len()));
        let bytes = run
            .chars()
            .filter_map(|character| u8::try_from(character).ok());
        result.push_str(before);
        result.push_str(&String::from_utf8(bytes.collect()).unwrap_or_else(|_| run.to_owned()));
        rest = after;
    }
    result.push_str(rest);
    result
}

/// A character that Latin-1 has and ASCII has not.
fn is_high_byte(character: char) -> bool {
    matches!(character, '\u{80}'..='\u{ff}')
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn words_are_joined_and_read_as_bytes() {
        for (stored, sent) in [
            ("=?UTF-8?Q?a_b=3d?=", "a b="),
            ("=?utf-8?q?caf=C3=83=C2=A9?=", "café"),
            ("=?UTF-8?B?w4M=?=\t =?UTF-8?Q?=C2=A9?=", "é"),
            // A character's bytes in two words.
            ("=?UTF-8?Q?=C3?= =?UTF-8?Q?=83=C2=A9?=", "é"),
            ("a =?UTF-8?Q?b?= c =?UTF-8?Q?d?=", "a b c d"),
            ("=?UTF-8?Q??=", ""),
            ("Ã©", "é"),
        ] {
            assert_eq!(decode(stored), sent, "{stored}");
        }
    }

    #[test]
    fn true_text_stays() {
        // As a server sends it that encodes once, and one that does not encode.
        assert_eq!(decode("=?UTF-8?Q?caf=C3=A9?="), "café");
        for text in ["café", "値", "", "plain", "{\"a\":\"b =? c ?=\"}"] {
            assert_eq!(decode(text), text);
        }
    }

    #[test]
    fn other_words_stay() {
        for text in [
            "=?ISO-8859-1?Q?=E9?=",
            "=?UTF-8?X?a?=",
            "=?UTF-8?B?w4M?=",
            "=?UTF-8?B?w4 M=?=",
            "=?UTF-8?Q?=E9?=",
            "=?UTF-8?Q?=C?=",
            "=?UTF-8?Q?=+1?=",
            "=?UTF-8?Q?a b?=",
            "=?UTF-8?Q?a",
            "=?UTF-8?Q",
            "=?",
        ] {
            assert_eq!(decode(text), text);
        }
    }
}
