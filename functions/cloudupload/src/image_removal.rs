//! What `api` and `deregister` say to each other: a job whose image is to go, and what came of that.

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, job::JobId, user::UserName};

/// A job that has succeeded, whose AMI and snapshot are to be removed. It is the event of `deregister`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRemoval {
    pub job: JobId,
    /// The user who asks for it, by the name that the job's log tells; none if an operator invokes the function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<UserName>,
}

/// What came of it. It is the answer of `deregister`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageRemovalOutcome {
    /// AMI and snapshot are gone, since then: whoever removed them.
    Removed(Timestamp),
    /// Something is left that cannot be removed as things are, for this reason.
    Refused(String),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_sample_event_is_a_removal() {
        let event = include_str!("../../../events/deregister.json");
        let removal: ImageRemoval = serde_json::from_str(event).unwrap();
        assert_eq!(removal.job, JobId::new(17).unwrap());
        assert_eq!(removal.asked_by.unwrap().as_str(), "tom");
    }

    #[test]
    fn an_operator_need_not_give_a_name() {
        let removal: ImageRemoval = serde_json::from_value(json!({"job": "17"})).unwrap();
        assert_eq!(removal.asked_by, None);
    }

    #[test]
    fn an_outcome_is_one_key() {
        let removed = ImageRemovalOutcome::Removed(Timestamp::from_secs(1795445844));
        assert_eq!(json!(removed), json!({"removed": 1795445844}));
        let refused = ImageRemovalOutcome::Refused("no".to_owned());
        assert_eq!(json!(refused), json!({"refused": "no"}));
    }
}
