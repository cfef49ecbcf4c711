//! Only callers with a secret are let in.

use reqwest::StatusCode;
use tests::Stack;

/// Status and summary of the answer to a list of all jobs.
async fn refusal(stack: &Stack) -> (StatusCode, String) {
    let answer = stack.get("/cloudupload").await;
    let status = answer.status();
    let xml = answer.text().await.expect("the answer is text");
    let summary = xml
        .split_once("<summary>")
        .and_then(|(_, rest)| rest.split_once("</summary>"));
    (
        status,
        summary.expect("the answer is OBS's XML").0.to_owned(),
    )
}

#[tokio::test]
async fn a_missing_and_a_wrong_secret_are_refused() {
    let stack = Stack::for_caller(None).await;
    let (status, summary) = refusal(&stack).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(
        summary.contains("with a name and a secret only"),
        "{summary}"
    );
    for credentials in [("obs", "guess"), ("nobody", "guess")] {
        let stack = Stack::for_caller(Some(credentials)).await;
        let (status, summary) = refusal(&stack).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(summary, "the name or the secret of the caller is wrong");
    }
}

#[tokio::test]
async fn a_caller_for_one_user_sees_that_users_jobs_until_it_is_removed() {
    const SECRET: &str = "f2a1c0de";
    let obs = Stack::new().await;
    obs.add_caller("ci", SECRET, "tom").await;
    let ci = Stack::for_caller(Some(("ci", SECRET))).await;
    let mut upload = obs.built_disk("callers").await;
    upload.user = "tim".to_owned();
    assert_eq!(ci.post(&upload).await.status(), StatusCode::FORBIDDEN);
    let of_tim = obs.create(&upload).await.id();
    upload.user = "tom".to_owned();
    upload.body["ami_name"] =
        format!("{} of tom", upload.body["ami_name"].as_str().unwrap()).into();
    let of_tom = ci.create(&upload).await.id();
    for (job, caller) in [(of_tim, "obs"), (of_tom, "ci")] {
        let record = obs.record(job).await;
        assert_eq!(record["caller"].as_s().map(String::as_str), Ok(caller));
    }
    assert_eq!(ci.jobs_of("callers").await, [of_tom]);
    let hidden = format!("/cloudupload/{of_tim}");
    assert_eq!(ci.get(&hidden).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        ci.request_kill(of_tim).await.status(),
        StatusCode::NOT_FOUND
    );
    for job in [of_tim, of_tom] {
        obs.success(job).await;
    }
    obs.remove_caller("ci").await;
    assert_eq!(refusal(&ci).await.0, StatusCode::UNAUTHORIZED);
}
