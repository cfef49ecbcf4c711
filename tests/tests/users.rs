//! Users with tokens of their own: what they see, which role they use, and what they may upload.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Administrator, DIRECT, Stack, Trust, detail, job_id, unique, until};

#[tokio::test]
async fn a_user_uploads_without_a_word_of_aws_and_nobody_else_sees_the_job() {
    let (obs, administrator) = (Stack::new().await, Administrator::new().await);
    let (tom, tim) = (
        administrator.user("tom").await,
        administrator.user("tim").await,
    );
    obs.built_disk("users").await;

    let (status, problem) = tom.upload("Cloud:Images", "users").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(
        detail(&problem).contains("no role is connected yet"),
        "{problem}"
    );
    let arn = tom.set_up().await;
    let (status, job) = tom.upload("Cloud:Images", "users").await;
    assert_eq!(
        (status, &job["state"]),
        (StatusCode::CREATED, &json!("created")),
        "{job}"
    );
    let job = job_id(&job);
    let record = obs.record(job).await;
    assert!(
        record["owner"].as_s().unwrap().starts_with("account:"),
        "{record:?}"
    );
    assert!(!record.contains_key("caller"));

    // A caller with the rights of the user of OBS who has this name is somebody else.
    let caller = format!("ci-{}", unique());
    obs.add_caller(&caller, "5ec2e7", &tom.name).await;
    let namesake = Stack::for_caller(Some((&caller, "5ec2e7"))).await;
    let hidden = format!("/cloudupload/{job}");
    assert_eq!(namesake.get(&hidden).await.status(), StatusCode::NOT_FOUND);
    obs.remove_caller(&caller).await;

    for (method, path) in [
        (Method::GET, format!("/v1/jobs/{job}")),
        (Method::GET, format!("/v1/jobs/{job}/log")),
        (Method::POST, format!("/v1/jobs/{job}/kill")),
    ] {
        let (status, problem) = tim.stack.ask(method, &path, None).await;
        assert_eq!(
            (status, detail(&problem)),
            (StatusCode::NOT_FOUND, "no such job"),
            "{path}"
        );
    }
    assert_eq!(
        tim.stack.request_kill(job).await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        tim.found("/v1/jobs").await,
        json!({"jobs": [], "next": null})
    );

    obs.success(job).await;
    let done = tom.found(&format!("/v1/jobs/{job}")).await;
    assert_eq!(
        (&done["state"], &done["ami"]),
        (&json!("succeeded"), &done["details"])
    );
    assert_eq!(done["region"], json!(tom.stack.region));
    let log = tom.stack.get_text(&format!("/v1/jobs/{job}/log")).await;
    assert!(log.contains("Created image: ami-"), "{log}");
    until("the job is in the list", || async {
        let list = tom.found("/v1/jobs").await;
        match list["jobs"] == json!([done]) {
            true => Ok(()),
            false => Err(list),
        }
    })
    .await;
    assert_eq!(tom.found("/v1/me").await["role"], json!(arn));

    for user in [&tom, &tim] {
        administrator.remove(user).await;
        assert_eq!(user.get("/v1/me").await.0, StatusCode::UNAUTHORIZED);
    }
    administrator.done().await;
}

#[tokio::test]
async fn a_role_is_used_with_its_user_s_own_external_id_only() {
    let administrator = Administrator::new().await;
    let (tom, eve) = (
        administrator.user("tom").await,
        administrator.user("eve").await,
    );
    let arn = tom.set_up().await;
    let external_id = tom.external_id().await;
    assert_ne!(external_id, eve.external_id().await);

    let (status, problem) = eve.connect(&arn).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(detail(&problem).contains("cannot be assumed"), "{problem}");
    assert_eq!(eve.found("/v1/me/role").await["arn"], Value::Null);

    // Not even if the other user's external ID is known.
    let upload = tom.stack.upload("confused", "disk.raw.xz");
    let mut theft = upload.clone();
    theft.body["arn"] = json!(arn);
    theft.body["external_id"] = json!(external_id);
    theft.user = eve.name.clone();
    assert_eq!(eve.stack.post(&theft).await.status(), StatusCode::FORBIDDEN);
    for key in ["arn", "external_id", "user"] {
        let mut body = json!({
            "project": "Cloud:Images", "repository": "images", "arch": "x86_64", "package": "confused",
        });
        body[key] = json!(arn);
        let (status, problem) = eve.stack.ask(Method::POST, "/v1/jobs", Some(body)).await;
        assert!(status.is_client_error(), "{key}: {problem}");
    }

    let open = format!("{}-open", eve.name);
    let open = eve.stack.make_role(&open, Trust::Anybody, &DIRECT).await;
    let (status, problem) = eve.connect(&open).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        detail(&problem).contains("with any external ID"),
        "{problem}"
    );

    for user in [&tom, &eve] {
        administrator.remove(user).await;
    }
    administrator.done().await;
}

#[tokio::test]
async fn a_role_that_lacks_permissions_is_told_which() {
    let administrator = Administrator::new().await;
    let user = administrator.user("poor").await;
    let external_id = user.external_id().await;
    let actions = ["ec2:DescribeImages", "ec2:DescribeSnapshots"];
    let trust = Trust::ExternalId(&external_id);
    let arn = user.stack.make_role(&user.name, trust, &actions).await;
    let (status, setup) = user.connect(&arn).await;
    assert_eq!(
        (status, &setup["usable"]),
        (StatusCode::OK, &json!(false)),
        "{setup}"
    );
    let missing = setup["report"]["missing"].to_string();
    assert!(missing.contains("ec2:RegisterImage"), "{setup}");
    let direct = &setup["report"]["routes"][0];
    assert_eq!(direct["verdict"], "denied");
    assert!(
        direct["missing"].to_string().contains("ebs:StartSnapshot"),
        "{setup}"
    );
    administrator.remove(&user).await;
    administrator.done().await;
}

#[tokio::test]
async fn a_token_is_listed_expires_and_is_revoked_at_once() {
    let administrator = Administrator::new().await;
    let user = administrator.user("tokens").await;
    let me = user.found("/v1/me").await;
    assert_eq!(
        (&me["name"], &me["token"]["id"]),
        (&json!(user.name), &user.token["id"])
    );

    // A token that a user makes ends with the one that it is made with.
    let short = administrator
        .token(&user.name, json!({"name": "short", "expires_in_days": 1}))
        .await;
    let by_short = Stack::for_token(short["token"].as_str().unwrap()).await;
    let body = Some(json!({"name": "longer", "expires_in_days": 300}));
    let longer = by_short
        .expect(StatusCode::CREATED, Method::POST, "/v1/me/tokens", body)
        .await;
    assert_eq!(longer["expires"], short["expires"]);

    let list = user.found("/v1/me/tokens").await.to_string();
    for token in [&user.token, &short, &longer] {
        assert!(list.contains(token["id"].as_str().unwrap()), "{list}");
        assert!(!list.contains(token["token"].as_str().unwrap()), "{list}");
    }
    let used = user.found("/v1/me").await["token"]["used"].clone();
    assert!(used.is_u64(), "the first call was noted: {used}");

    let revoke = format!("/v1/me/tokens/{}", short["id"].as_str().unwrap());
    user.stack
        .expect(StatusCode::NO_CONTENT, Method::DELETE, &revoke, None)
        .await;
    let (status, problem) = by_short.ask(Method::GET, "/v1/me", None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(detail(&problem).contains("the token is wrong"), "{problem}");

    let obs = Stack::new().await;
    for stack in [&obs, &user.stack] {
        let (status, problem) = stack.ask(Method::GET, "/v1/users", None).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{problem}");
    }
    administrator.remove(&user).await;
    administrator.done().await;
}

#[tokio::test]
async fn users_upload_from_what_the_operators_allow_and_see_nothing_else() {
    let (obs, administrator) = (Stack::new().await, Administrator::new().await);
    let user = administrator.user("lists").await;
    let upload = obs.built_disk("lists").await;
    let mut secret = upload.clone();
    secret.project = "Secret:Images".to_owned();
    obs.build(&secret, b"x").await;

    let projects = user.found("/v1/projects").await.to_string();
    assert!(
        projects.contains("Cloud:Images") && !projects.contains("Secret"),
        "{projects}"
    );
    let listed = user.found("/v1/projects/Cloud:Images/repositories").await;
    assert!(
        listed.to_string().contains(r#""name":"images""#),
        "{listed}"
    );
    let path = "/v1/projects/Cloud:Images/packages?repository=images&arch=x86_64";
    let packages = user.found(path).await.to_string();
    assert!(packages.contains(r#""lists""#), "{packages}");
    let images = user
        .found("/v1/projects/Cloud:Images/packages/lists/images")
        .await;
    let image = &images["images"][0];
    assert_eq!(
        (&image["repository"], &image["arch"], &image["filename"]),
        (&json!("images"), &json!("x86_64"), &json!(upload.filename))
    );

    // Whether a project is there is not told.
    user.set_up().await;
    for project in ["Secret:Images", "No:Images"] {
        let expected = format!("the project '{project}' is none that users may upload from");
        let repositories = format!("/v1/projects/{project}/repositories");
        for (status, problem) in [
            user.get(&repositories).await,
            user.upload(project, "lists").await,
        ] {
            assert_eq!(status, StatusCode::NOT_FOUND);
            assert!(detail(&problem).starts_with(&expected), "{problem}");
        }
    }
    administrator.remove(&user).await;
    administrator.done().await;
}
