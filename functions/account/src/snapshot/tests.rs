use fake_endpoint::{Answer, Call, Endpoint, ec2};

use super::*;
use crate::testing::{OURS, job, session_at};

/// An account in which the first deletions fail, and the job has an AMI.
fn refusing(mut times: u32, refuse: impl Fn(&Call) -> Answer + Send + 'static) -> Endpoint {
    Endpoint::new(move |call| match call.name.as_str() {
        "DescribeImages" => ec2::images(call, &[("ami-1", &[OURS])]),
        "DeleteSnapshot" if times > 0 => {
            times -= 1;
            refuse(call)
        }
        _ => call.result("<return>true</return>"),
    })
}

async fn remove(endpoint: &Endpoint) -> Result<(), Failure> {
    let job = job();
    let session = session_at(endpoint, &job);
    session.remove_snapshot(&"snap-1".parse().unwrap()).await
}

fn in_use(call: &Call) -> Answer {
    let message = "The snapshot snap-1 is currently in use by ami-1";
    call.refusal(400, "InvalidSnapshot.InUse", message)
}

fn untagged(call: &Call) -> Answer {
    let message = "You are not authorized to perform this operation.";
    call.refusal(403, "UnauthorizedOperation", message)
}

#[tokio::test]
async fn a_snapshot_in_use_goes_after_its_ami() {
    let endpoint = refusing(1, in_use);
    remove(&endpoint).await.unwrap();
    assert_eq!(
        endpoint.names(),
        [
            "DeleteSnapshot",
            "DescribeImages",
            "DeregisterImage",
            "DeleteSnapshot"
        ]
    );
}

#[tokio::test]
async fn a_snapshot_that_is_not_tagged_yet_is_tagged_and_goes() {
    let endpoint = refusing(1, untagged);
    remove(&endpoint).await.unwrap();
    assert_eq!(
        endpoint.names(),
        ["DeleteSnapshot", "CreateTags", "DeleteSnapshot"]
    );
    let tags = &endpoint.calls()[1];
    assert_eq!(tags.parameter("ResourceId.1"), "snap-1");
    assert_eq!(tags.parameter("Tag.6.Key"), OURS.0);
    assert_eq!(tags.parameter("Tag.6.Value"), OURS.1);
}

#[tokio::test]
async fn a_snapshot_that_stays_in_use_is_given_up() {
    let endpoint = refusing(u32::MAX, in_use);
    let failure = remove(&endpoint).await.unwrap_err();
    assert!(
        failure.has_code("InvalidSnapshot.InUse") && !failure.transient,
        "{failure}"
    );
    assert_eq!(endpoint.calls_of("DeleteSnapshot").len(), 7);
}

#[tokio::test]
async fn a_snapshot_that_is_gone_is_removed() {
    let not_found = |call: &Call| call.refusal(400, "InvalidSnapshot.NotFound", "no");
    let endpoint = refusing(1, not_found);
    remove(&endpoint).await.unwrap();
    assert_eq!(endpoint.names(), ["DeleteSnapshot"]);

    let endpoint = Endpoint::new(move |call| match call.name.as_str() {
        "DeleteSnapshot" => untagged(call),
        _ => not_found(call),
    });
    remove(&endpoint).await.unwrap();
    assert_eq!(endpoint.names(), ["DeleteSnapshot", "CreateTags"]);
}

#[tokio::test]
async fn another_refusal_is_told_at_once() {
    let endpoint = refusing(1, |call| {
        call.refusal(400, "RequestLimitExceeded", "slow down")
    });
    let failure = remove(&endpoint).await.unwrap_err();
    assert!(failure.transient, "{failure}");
    assert_eq!(endpoint.names(), ["DeleteSnapshot"]);

    // Nothing can be tagged either: that is the reason then.
    let endpoint = Endpoint::new(untagged);
    let failure = remove(&endpoint).await.unwrap_err();
    assert_eq!(failure.call, "ec2:CreateTags");
}
