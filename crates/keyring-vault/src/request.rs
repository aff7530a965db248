use bytes::Bytes;
use reqwest::Method;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::token::Token;

/// One request to the server's interface.
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Segments behind `/v1/`.
    pub(crate) path: String,
    /// The capability that a policy must permit on the path.
    pub(crate) capability: &'static str,
    /// Wiped with its last copy.
    pub(crate) body: Bytes,
    /// Data keys, wrapped or not.
    secrets: Vec<Zeroizing<String>>,
}

/// The body of a request to the transit engine. All texts are base64, or end in it.
#[derive(Serialize)]
pub(crate) struct TransitBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plaintext: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ciphertext: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) associated_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) context: Option<String>,
}

impl Request {
    /// Reads what is at `path`.
    pub(crate) fn read(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            capability: "read",
            body: Bytes::new(),
            secrets: Vec::new(),
        }
    }

    /// Renews the token that it is sent with.
    pub(crate) fn renew() -> Self {
        Self {
            method: Method::POST,
            path: "auth/token/renew-self".to_owned(),
            capability: "update",
            body: Bytes::from_static(b"{}"),
            secrets: Vec::new(),
        }
    }

    /// Has the transit engine do something with data keys.
    pub(crate) fn transit(path: String, body: &TransitBody<'_>) -> Self {
        let texts = [
            body.plaintext,
            body.ciphertext,
            body.associated_data.as_deref(),
            body.context.as_deref(),
        ];
        let length: usize = texts.into_iter().flatten().map(str::len).sum();
        // Enough for the names of all fields, so that it never grows and leaves a copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(length + 128));
        // Nothing that is written needs to be escaped, and a vector takes everything.
        serde_json::to_writer(&mut *bytes, body).ok();
        let secrets = [body.plaintext, body.ciphertext].into_iter().flatten();
        Self {
            method: Method::POST,
            path,
            capability: "update",
            body: Bytes::from_owner(bytes),
            secrets: secrets
                .map(|text| Zeroizing::new(text.to_owned()))
                .collect(),
        }
    }

    /// What no error text may repeat.
    pub(crate) fn hidden<'a>(&'a self, token: &'a Token) -> Vec<&'a str> {
        let secrets = self.secrets.iter().map(|secret| secret.as_str());
        secrets.chain([token.expose()]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fields_that_are_there_are_sent() {
        let body = TransitBody {
            plaintext: Some("AAAA"),
            ciphertext: None,
            associated_data: Some(String::new()),
            context: None,
        };
        let request = Request::transit("transit/encrypt/a".to_owned(), &body);
        assert_eq!(request.body, r#"{"plaintext":"AAAA","associated_data":""}"#);
    }
}
