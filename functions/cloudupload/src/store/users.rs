//! The users of this service, with their tokens and their roles: one item each, under the user's name.
//!
//! A token is a part of its user's item, so that one consistent read lets a caller in, and whoever is removed is out at once.

use std::collections::HashMap;

use aws_sdk_dynamodb::{Client, operation::update_item::UpdateItemError, types::AttributeValue};
use serde_dynamo::{from_item, to_item};

use super::{Item, StoreError, update::UpdateExpression};
use crate::{
    aws::Failure,
    clock::Timestamp,
    user::{ConnectedRole, MAX_TOKENS, NewToken, TokenId, UserId, UserName, UserRecord},
};

/// The table of users.
#[derive(Clone, Debug)]
pub struct Users {
    client: Client,
    table: String,
}

/// Whether a change was made. It is not if the user, or what it is about, is not there or not as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Change {
    Made,
    Refused,
}

impl Users {
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// The user of that name, as the last write left them.
    pub async fn get(&self, name: &UserName) -> Result<Option<UserRecord>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(name)))
            .consistent_read(true)
            .send()
            .await
            .map_err(Failure::of("dynamodb:GetItem"))?;
        answer.item.map(read).transpose()
    }

    /// All users, by their names.
    pub async fn list(&self) -> Result<Vec<UserRecord>, StoreError> {
        let items = self
            .client
            .scan()
            .table_name(&self.table)
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await
            .map_err(Failure::of("dynamodb:Scan"))?;
        let users: Result<Vec<UserRecord>, _> = items.into_iter().map(read).collect();
        let mut users = users?;
        users.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(users)
    }

    /// Adds a user; refused if there is one of that name.
    pub async fn create(&self, user: &UserRecord) -> Result<Change, StoreError> {
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(to_item(user).map_err(StoreError::Unwritable)?))
            // The id is that of our own write, whose first answer was lost.
            .condition_expression("attribute_not_exists(#name) OR #id = :id")
            .expression_attribute_names("#name", "name")
            .expression_attribute_names("#id", "id")
            .expression_attribute_values(":id", AttributeValue::S(user.id.to_string()))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Change::Made),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Ok(Change::Refused)
            }
            Err(error) => Err(Failure::of("dynamodb:PutItem")(error).into()),
        }
    }

    /// Removes a user with all tokens. Idempotent.
    pub async fn remove(&self, name: &UserName) -> Result<(), StoreError> {
        self.client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key(name)))
            .send()
            .await
            .map_err(Failure::of("dynamodb:DeleteItem"))?;
        Ok(())
    }

    /// Adds a token; refused if the user has [`MAX_TOKENS`].
    pub async fn add_token(
        &self,
        user: &UserRecord,
        token: &NewToken,
    ) -> Result<Change, StoreError> {
        let update = of(&user.id)?
            .set(&path(&token.id), &token.record)?
            .expect_fewer("tokens", MAX_TOKENS)?;
        self.update(&user.name, update).await
    }

    /// Revokes a token.
    pub async fn remove_token(
        &self,
        user: &UserRecord,
        token: &TokenId,
    ) -> Result<Change, StoreError> {
        self.update(&user.name, of(&user.id)?.remove(&path(token)))
            .await
    }

    /// Notes that a token was used. One that was revoked meanwhile stays so.
    pub async fn note_use(
        &self,
        user: &UserRecord,
        token: &TokenId,
        now: Timestamp,
    ) -> Result<Change, StoreError> {
        let update = of(&user.id)?
            .set(&format!("{}.used", path(token)), now)?
            .expect_present(&path(token));
        self.update(&user.name, update).await
    }

    /// Keeps a role, in place of another.
    pub async fn set_role(
        &self,
        user: &UserRecord,
        role: &ConnectedRole,
    ) -> Result<Change, StoreError> {
        self.update(&user.name, of(&user.id)?.set("role", role)?)
            .await
    }

    /// Forgets the role. Idempotent.
    pub async fn remove_role(&self, user: &UserRecord) -> Result<Change, StoreError> {
        self.update(&user.name, of(&user.id)?.remove("role")).await
    }

    async fn update(
        &self,
        name: &UserName,
        update: UpdateExpression,
    ) -> Result<Change, StoreError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(name)))
            .update_expression(update.expression())
            .condition_expression(&update.condition)
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values(Some(update.values))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Change::Made),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(Change::Refused),
                _ => Err(Failure::of("dynamodb:UpdateItem")(error).into()),
            },
        }
    }
}

/// A change of this user, and of no other who has got the name since.
fn of(id: &UserId) -> Result<UpdateExpression, StoreError> {
    UpdateExpression::default().expect_equal("id", id)
}

fn path(token: &TokenId) -> String {
    format!("tokens.{token}")
}

fn key(name: &UserName) -> Item {
    HashMap::from([("name".to_owned(), AttributeValue::S(name.to_string()))])
}

fn read(item: Item) -> Result<UserRecord, StoreError> {
    from_item(item).map_err(StoreError::UnreadableUser)
}
