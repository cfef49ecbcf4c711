use fake_endpoint::{
    Answer, Endpoint,
    dynamodb::{self, condition_failed, expression},
};
use serde_json::{Value, json};

use crate::{
    clock::Timestamp,
    store::{Change, Users},
    user::{NewToken, UserRecord},
};

fn users_at(endpoint: &Endpoint) -> Users {
    let client = aws_sdk_dynamodb::Client::new(&endpoint.config());
    Users::new(client, "users".to_owned())
}

fn tom() -> UserRecord {
    UserRecord::new("tom".parse().unwrap(), Timestamp::from_secs(1))
}

fn token(user: &UserRecord) -> NewToken {
    let name = "laptop".parse().unwrap();
    NewToken::of(&user.name, name, Timestamp::from_secs(2), None)
}

/// A table that takes every write, or refuses each for its condition.
fn table(takes: bool) -> Endpoint {
    Endpoint::new(move |call| match takes {
        true => Answer::json(&json!({})),
        false => condition_failed(call, None),
    })
}

/// Update and condition of the one write that there was.
fn write(endpoint: &Endpoint) -> (String, String) {
    let calls = endpoint.calls();
    assert_eq!(calls.len(), 1);
    let call = calls[0].json();
    assert_eq!(call["Key"]["name"]["S"], "tom");
    (
        expression(&call, "UpdateExpression"),
        expression(&call, "ConditionExpression"),
    )
}

#[tokio::test]
async fn a_name_is_given_once() {
    for (takes, change) in [(true, Change::Made), (false, Change::Refused)] {
        let endpoint = table(takes);
        let user = tom();
        assert_eq!(users_at(&endpoint).create(&user).await.unwrap(), change);
        let put = endpoint.calls()[0].json();
        let condition = expression(&put, "ConditionExpression");
        let own = format!("attribute_not_exists(name) OR id = \"{}\"", user.id);
        assert_eq!(condition, own);
        assert_eq!(
            put["Item"]["tokens"],
            json!({"M": {}}),
            "tokens are put into it"
        );
    }
}

#[tokio::test]
async fn a_token_is_added_to_the_user_who_has_few_and_to_no_namesake() {
    let user = tom();
    let token = token(&user);
    let endpoint = table(true);
    let change = users_at(&endpoint).add_token(&user, &token).await.unwrap();
    assert_eq!(change, Change::Made);
    let (update, condition) = write(&endpoint);
    assert!(
        update.starts_with(&format!("SET tokens.{} = {{", token.id)),
        "{update}"
    );
    assert!(!update.contains(&token.token.reveal()), "{update}");
    assert_eq!(
        condition,
        format!("id = \"{}\" AND size(tokens) < 50", user.id)
    );
    let change = users_at(&table(false)).add_token(&user, &token).await;
    assert_eq!(change.unwrap(), Change::Refused);
}

#[tokio::test]
async fn the_use_of_a_token_brings_back_none_that_was_revoked() {
    let user = tom();
    let id = token(&user).id;
    let endpoint = table(false);
    let users = users_at(&endpoint);
    let noted = users.note_use(&user, &id, Timestamp::from_secs(7)).await;
    assert_eq!(noted.unwrap(), Change::Refused);
    let (update, condition) = write(&endpoint);
    assert_eq!(update, format!("SET tokens.{id}.used = 7"));
    let there = format!("id = \"{}\" AND attribute_exists(tokens.{id})", user.id);
    assert_eq!(condition, there);
    let endpoint = table(true);
    let removed = users_at(&endpoint).remove_token(&user, &id).await.unwrap();
    assert_eq!(removed, Change::Made);
    assert_eq!(write(&endpoint).0, format!("REMOVE tokens.{id}"));
}

#[tokio::test]
async fn users_are_read_as_they_were_written_by_their_names() {
    let mut users = [tom(), tom()];
    users[0].name = "zoe".parse().unwrap();
    let items = users.each_ref().map(|user| dynamodb::item(&json!(user)));
    let endpoint = Endpoint::new(move |call| {
        let request: Value = call.json();
        assert_eq!(request["ConsistentRead"], true);
        match call.name.as_str() {
            "Scan" => Answer::json(&json!({"Items": items, "Count": 2, "ScannedCount": 2})),
            _ => Answer::json(&json!({"Item": items[1]})),
        }
    });
    let store = users_at(&endpoint);
    let [zoe, tom] = users;
    assert_eq!(store.get(&tom.name).await.unwrap(), Some(tom.clone()));
    assert_eq!(store.list().await.unwrap(), [tom, zoe]);
}
