//! Update expressions.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde_dynamo::to_attribute_value;

use super::{Item, StoreError};
use crate::job::State;

/// An update of an item under a condition. Every name has a placeholder, because many of ours are reserved words.
#[derive(Default)]
pub(super) struct UpdateExpression {
    clauses: BTreeMap<&'static str, Vec<String>>,
    pub(super) condition: String,
    pub(super) names: HashMap<String, String>,
    pub(super) values: Item,
}

impl UpdateExpression {
    pub(super) fn set(self, path: &str, value: impl Serialize) -> Result<Self, StoreError> {
        let value = to_attribute_value(value).map_err(StoreError::Unwritable)?;
        Ok(self.set_attribute(path, value))
    }

    pub(super) fn set_attribute(mut self, path: &str, value: AttributeValue) -> Self {
        let (path, value) = (self.name(path), self.value(value));
        self.clause("SET", format!("{path} = {value}"))
    }

    /// Sets an attribute that is not set yet.
    pub(super) fn set_once(self, path: &str, value: impl Serialize) -> Result<Self, StoreError> {
        let value = to_attribute_value(value).map_err(StoreError::Unwritable)?;
        Ok(self.set_attribute_once(path, value))
    }

    pub(super) fn set_attribute_once(mut self, path: &str, value: AttributeValue) -> Self {
        let (path, value) = (self.name(path), self.value(value));
        self.clause("SET", format!("{path} = if_not_exists({path}, {value})"))
    }

    pub(super) fn add(self, path: &str, value: impl Serialize) -> Result<Self, StoreError> {
        let value = to_attribute_value(value).map_err(StoreError::Unwritable)?;
        Ok(self.add_attribute(path, value))
    }

    /// Adds to a number, which may not be there yet.
    pub(super) fn add_attribute(mut self, path: &str, value: AttributeValue) -> Self {
        let (path, value) = (self.name(path), self.value(value));
        self.clause("ADD", format!("{path} {value}"))
    }

    pub(super) fn remove(mut self, path: &str) -> Self {
        let path = self.name(path);
        self.clause("REMOVE", path)
    }

    fn clause(mut self, verb: &'static str, change: String) -> Self {
        self.clauses.entry(verb).or_default().push(change);
        self
    }

    /// Demands that the job is in one of these states.
    pub(super) fn expect_state(mut self, from: &[State]) -> Self {
        self.names.insert("#state".to_owned(), "state".to_owned());
        let allowed: Vec<String> = from.iter().map(|state| format!(":{state}")).collect();
        for (placeholder, state) in allowed.iter().zip(from) {
            let state = AttributeValue::S(state.to_string());
            self.values.insert(placeholder.clone(), state);
        }
        self.expect(format!("#state IN ({})", allowed.join(", ")))
    }

    /// Demands that there is an item.
    pub(super) fn expect_item(self) -> Self {
        self.expect("attribute_exists(id)".to_owned())
    }

    /// Demands that a number is at most this, or not there.
    pub(super) fn expect_at_most(
        mut self,
        path: &str,
        most: impl Serialize,
    ) -> Result<Self, StoreError> {
        let most = to_attribute_value(most).map_err(StoreError::Unwritable)?;
        let (path, most) = (self.name(path), self.value(most));
        Ok(self.expect(format!(
            "(attribute_not_exists({path}) OR {path} <= {most})"
        )))
    }

    /// Demands that an attribute has this value.
    pub(super) fn expect_equal(
        mut self,
        path: &str,
        value: impl Serialize,
    ) -> Result<Self, StoreError> {
        let value = to_attribute_value(value).map_err(StoreError::Unwritable)?;
        let (path, value) = (self.name(path), self.value(value));
        Ok(self.expect(format!("{path} = {value}")))
    }

    /// Demands that an attribute is there.
    pub(super) fn expect_present(mut self, path: &str) -> Self {
        let path = self.name(path);
        self.expect(format!("attribute_exists({path})"))
    }

    /// Demands that an attribute is not there.
    pub(super) fn expect_absent(mut self, path: &str) -> Self {
        let path = self.name(path);
        self.expect(format!("attribute_not_exists({path})"))
    }

    /// Demands that a map has fewer entries than this.
    pub(super) fn expect_fewer(mut self, path: &str, most: usize) -> Result<Self, StoreError> {
        let most = to_attribute_value(most).map_err(StoreError::Unwritable)?;
        let (path, most) = (self.name(path), self.value(most));
        Ok(self.expect(format!("size({path}) < {most}")))
    }

    fn expect(mut self, condition: String) -> Self {
        self.condition = match self.condition.is_empty() {
            true => condition,
            false => format!("{} AND {condition}", self.condition),
        };
        self
    }

    pub(super) fn expression(&self) -> String {
        self.clauses
            .iter()
            .map(|(verb, changes)| format!("{verb} {}", changes.join(", ")))
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn name(&mut self, path: &str) -> String {
        path.split('.')
            .map(|name| {
                let placeholder = format!("#n{}", self.names.len());
                self.names.insert(placeholder.clone(), name.to_owned());
                placeholder
            })
            .collect::<Vec<_>>()
            .join(".")
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_have_placeholders() {
        let update = UpdateExpression::default()
            .set("work.disk_size", 7)
            .unwrap()
            .set_once("state", "x")
            .unwrap()
            .remove("token")
            .expect_state(&[State::Created, State::Receiving]);
        assert_eq!(
            update.expression(),
            "REMOVE #n3 SET #n0.#n1 = :v0, #n2 = if_not_exists(#n2, :v1)"
        );
        assert_eq!(update.condition, "#state IN (:created, :receiving)");
        assert_eq!(update.names["#n1"], "disk_size");
        assert_eq!(update.values[":v0"], AttributeValue::N("7".to_owned()));
        assert_eq!(
            update.values[":receiving"],
            AttributeValue::S("receiving".to_owned())
        );
    }

    #[test]
    fn an_attribute_can_be_demanded() {
        let update = UpdateExpression::default()
            .expect_equal("id", "7")
            .unwrap()
            .expect_present("tokens.a")
            .expect_absent("role")
            .expect_fewer("tokens", 50)
            .unwrap();
        assert_eq!(
            update.condition,
            "#n0 = :v0 AND attribute_exists(#n1.#n2) AND attribute_not_exists(#n3) AND size(#n4) < :v1"
        );
    }

    #[test]
    fn conditions_add_up() {
        let update = UpdateExpression::default()
            .expect_at_most("reported", 5)
            .unwrap()
            .expect_state(&[State::Failed]);
        assert_eq!(
            update.condition,
            "(attribute_not_exists(#n0) OR #n0 <= :v0) AND #state IN (:failed)"
        );
    }
}
