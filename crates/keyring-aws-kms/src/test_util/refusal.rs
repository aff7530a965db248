use serde_json::{Value, json};

/// Why a request is refused: the service's code, and a text for people.
pub(super) struct Refusal {
    code: &'static str,
    message: &'static str,
    #[cfg(feature = "branch-keys")]
    cancellation_reasons: Vec<Value>,
}

impl Refusal {
    pub(super) const fn new(code: &'static str, message: &'static str) -> Self {
        Self {
            code,
            message,
            #[cfg(feature = "branch-keys")]
            cancellation_reasons: Vec::new(),
        }
    }

    /// A field is missing, or its value is out of its range.
    pub(super) const fn invalid(message: &'static str) -> Self {
        Self::new("ValidationException", message)
    }

    /// A transaction of DynamoDB was not done: a reason for each of its actions.
    #[cfg(feature = "branch-keys")]
    pub(super) fn canceled(cancellation_reasons: Vec<Value>) -> Self {
        Self {
            cancellation_reasons,
            ..Self::new(
                "TransactionCanceledException",
                "transaction cancelled, see the reason of each action:",
            )
        }
    }

    #[cfg(feature = "branch-keys")]
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    #[cfg(feature = "branch-keys")]
    pub(super) fn message(&self) -> &'static str {
        self.message
    }

    pub(super) fn body(&self) -> Value {
        #[cfg_attr(not(feature = "branch-keys"), expect(unused_mut))]
        let mut body = json!({ "__type": self.code, "message": self.message });
        #[cfg(feature = "branch-keys")]
        if let (false, Some(fields)) = (self.cancellation_reasons.is_empty(), body.as_object_mut())
        {
            let reasons = self.cancellation_reasons.clone();
            let codes = reasons
                .iter()
                .filter_map(|reason| reason.get("Code")?.as_str());
            // AWS libraries that know no reasons show what is in the text (API reference).
            let message = format!(
                "{} [{}]",
                self.message,
                codes.collect::<Vec<_>>().join(", ")
            );
            fields.insert("message".to_owned(), message.into());
            fields.insert("CancellationReasons".to_owned(), reasons.into());
        }
        body
    }
}
