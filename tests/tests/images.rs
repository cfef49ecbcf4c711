//! The images that jobs have made: removed again by their users, and made once more.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Administrator, DIRECT, Job, JobId, Stack, User, detail, job_id, snapshots};

/// A job of the user that has succeeded.
async fn uploaded(obs: &Stack, user: &User, package: &str) -> Job {
    let (status, job) = user.upload("Cloud:Images", package).await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    obs.success(job_id(&job)).await
}

async fn remove_image(user: &User, job: JobId) -> (StatusCode, Value) {
    let path = format!("/v1/jobs/{job}/image");
    user.stack.ask(Method::DELETE, &path, None).await
}

#[tokio::test]
async fn an_image_is_removed_by_its_user_and_made_again() {
    let (obs, administrator) = (Stack::new().await, Administrator::new().await);
    let (tom, tim) = (
        administrator.user("tom").await,
        administrator.user("tim").await,
    );
    obs.built_disk("image-removal").await;
    tom.set_up().await;
    let job = uploaded(&obs, &tom, "image-removal").await;
    let (id, ami) = (job.id(), job.details().to_owned());
    let image = obs.image(&ami).await;
    let snapshot = snapshots(&image).next().expect("an AMI has a snapshot");
    assert_eq!(
        obs.images_and_snapshots(&job).await,
        [&ami, snapshot].map(str::to_owned)
    );

    let (status, problem) = remove_image(&tim, id).await;
    assert_eq!(
        (status, detail(&problem)),
        (StatusCode::NOT_FOUND, "no such job")
    );
    let before = obs.job(id).await;
    let (status, removed) = remove_image(&tom, id).await;
    assert_eq!(status, StatusCode::OK, "{removed}");
    assert!(removed["image_deleted"].is_u64(), "{removed}");
    assert_eq!(obs.images_and_snapshots(&job).await, [""; 0]);
    assert_eq!(obs.leftovers(&job).await, [""; 0]);

    // Once more, it is as it was.
    assert_eq!(
        remove_image(&tom, id).await,
        (StatusCode::OK, removed.clone())
    );
    assert_eq!(tom.found(&format!("/v1/jobs/{id}")).await, removed);
    let log = tom.stack.get_text(&format!("/v1/jobs/{id}/log")).await;
    let line = format!(
        "Removed the image {ami} and its snapshot {snapshot}, as asked by {}.\n",
        tom.name
    );
    assert_eq!(log.matches(&line).count(), 1, "{log}");
    assert_eq!(obs.job(id).await, before, "OBS is told nothing of it");

    // The AMI's name is free again.
    let path = format!("/v1/jobs/{id}/retry");
    let (status, problem) = tim.stack.ask(Method::POST, &path, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{problem}");
    let again = tom
        .stack
        .expect(StatusCode::CREATED, Method::POST, &path, None)
        .await;
    for field in ["project", "package", "filename", "region", "ami_name"] {
        assert_eq!(again[field], removed[field], "{field}");
    }
    assert_eq!(again["image_deleted"], Value::Null);
    let again = obs.success(job_id(&again)).await;
    let made = obs.image(again.details()).await;
    assert_ne!(made.image_id(), Some(ami.as_str()));
    assert_eq!(made.name(), removed["ami_name"].as_str());
    let is_the_wish =
        |tag: &aws_sdk_ec2::types::Tag| (tag.key(), tag.value()) == (Some("Team"), Some("images"));
    assert!(made.tags().iter().any(is_the_wish), "{:?}", made.tags());

    for user in [&tom, &tim] {
        administrator.remove(user).await;
    }
    administrator.done().await;
}

#[tokio::test]
async fn a_role_that_lacks_a_permission_keeps_the_image_and_tells() {
    let (obs, administrator) = (Stack::new().await, Administrator::new().await);
    let user = administrator.user("keeper").await;
    obs.built_disk("image-kept").await;
    user.set_up().await;
    let job = uploaded(&obs, &user, "image-kept").await;
    let id = job.id();
    let both = obs.images_and_snapshots(&job).await;
    for (lost, left) in [
        ("ec2:DeregisterImage", &both[..]),
        ("ec2:DeleteSnapshot", &both[1..]),
    ] {
        let actions: Vec<&str> = DIRECT
            .into_iter()
            .filter(|action| *action != lost)
            .collect();
        obs.allow(&user.name, &actions).await;
        let (status, problem) = remove_image(&user, id).await;
        assert_eq!(status, StatusCode::CONFLICT, "{problem}");
        let sentence = detail(&problem);
        assert!(
            sentence.starts_with(&format!("{lost} failed: UnauthorizedOperation: "))
                && sentence.contains("allow it and try again"),
            "{sentence}"
        );
        let log = user.stack.get_text(&format!("/v1/jobs/{id}/log")).await;
        let line = format!("Could not remove the image {}: {sentence}\n", job.details());
        assert!(log.contains(&line), "{log}");
        assert_eq!(obs.images_and_snapshots(&job).await, left);
        let shown = user.found(&format!("/v1/jobs/{id}")).await;
        assert_eq!(shown["image_deleted"], Value::Null);
    }
    obs.allow(&user.name, &DIRECT).await;
    let (status, removed) = remove_image(&user, id).await;
    assert_eq!(status, StatusCode::OK, "{removed}");
    assert_eq!(obs.images_and_snapshots(&job).await, [""; 0]);
    administrator.remove(&user).await;
    administrator.done().await;
}

#[tokio::test]
async fn a_job_that_failed_has_no_image_and_can_be_tried_again() {
    let (obs, administrator) = (Stack::new().await, Administrator::new().await);
    let user = administrator.user("retry").await;
    obs.built_disk("image-retry").await;
    user.set_up().await;
    let (_, job) = user.upload("Cloud:Images", "image-retry").await;
    let id = job_id(&job);
    let path = format!("/v1/jobs/{id}/kill");
    user.stack
        .expect(StatusCode::OK, Method::POST, &path, None)
        .await;
    obs.failure(id).await;
    let (status, problem) = remove_image(&user, id).await;
    assert_eq!(
        (status, detail(&problem)),
        (
            StatusCode::CONFLICT,
            format!("job {id} is failed: only a job that has succeeded has an image").as_str()
        )
    );
    let path = format!("/v1/jobs/{id}/retry");
    let again = user
        .stack
        .expect(StatusCode::CREATED, Method::POST, &path, None)
        .await;
    obs.success(job_id(&again)).await;

    // Without a role, there is none to try it under.
    user.stack
        .expect(StatusCode::NO_CONTENT, Method::DELETE, "/v1/me/role", None)
        .await;
    let (status, problem) = user.stack.ask(Method::POST, &path, Some(json!({}))).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(
        detail(&problem).contains("no role is connected yet"),
        "{problem}"
    );
    administrator.remove(&user).await;
    administrator.done().await;
}
