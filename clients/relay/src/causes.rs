//! What an error says, with everything that led to it.

use std::{error::Error, iter};

/// The error and its causes, each once, in a line. `reqwest` and `hyper` say "error sending request" and keep to the causes what
/// is wrong.
pub fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    for cause in iter::successors(error.source(), |&cause| cause.source()) {
        let cause = cause.to_string();
        if !line.ends_with(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Layer {
        #[error("no answer")]
        Outer(#[source] Box<Layer>),
        #[error(transparent)]
        Transparent(Box<Layer>),
        #[error("connection refused")]
        Inner,
    }

    #[test]
    fn each_cause_is_said_once() {
        let error = Layer::Outer(Layer::Transparent(Layer::Inner.into()).into());
        assert_eq!(with_causes(&error), "no answer: connection refused");
    }
}
