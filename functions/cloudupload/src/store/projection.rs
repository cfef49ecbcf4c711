//! The part of a record that a read asks for.

use std::collections::HashMap;

/// A projection expression. Each name in it is a placeholder, as some are reserved words of DynamoDB (developer guide,
/// "Expression attribute names (aliases) in DynamoDB").
pub(super) struct Projection {
    pub expression: String,
    pub names: HashMap<String, String>,
}

impl Projection {
    /// Of attributes, with dots before nested ones.
    pub fn of(attributes: &[&str]) -> Self {
        let placeholder = |name: &str| format!("#{name}");
        let paths = attributes.iter().map(|path| path.split('.'));
        let names = paths.clone().flatten();
        let names = names.map(|name| (placeholder(name), name.to_owned()));
        let paths = paths.map(|path| path.map(placeholder).collect::<Vec<_>>().join("."));
        Self {
            names: names.collect(),
            expression: paths.collect::<Vec<_>>().join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_placeholder() {
        let projection = Projection::of(&["id", "order.user", "order.size"]);
        assert_eq!(projection.expression, "#id, #order.#user, #order.#size");
        let names = ["id", "order", "user", "size"];
        assert_eq!(
            projection.names,
            names
                .map(|name| (format!("#{name}"), name.to_owned()))
                .into()
        );
    }
}
