use crate::error::Error;
use crate::output::Output;

/// Objects that failed while others went on.
#[derive(Debug, Default)]
pub(crate) struct Failures(usize);

impl Failures {
    /// Says at once what failed and why.
    pub(crate) fn add(&mut self, name: &str, error: &Error, output: &Output) {
        self.0 += 1;
        output.object_failed(name, error);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0 == 0
    }

    pub(crate) fn into_result(self) -> Result<(), Error> {
        match self.0 {
            0 => Ok(()),
            failed => Err(Error::Some { failed }),
        }
    }
}
