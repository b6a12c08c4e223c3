//! To which names a namespace answers.

use std::fmt;
use std::sync::Arc;

use ferriwire_proto::codec::Payload;
use regex::Regex;

use crate::engine::Request;
use crate::engine::running::BoxFuture;

/// One name, or a rule for many.
pub(crate) enum Names {
    One(Arc<str>),
    Many(Rule),
}

/// Which names a dynamic namespace answers to.
pub(crate) enum Rule {
    /// Names that this matches as a whole; its named groups are the parameters.
    Matching(Regex),
    /// The program is asked for each client.
    Asking(Ask),
    /// A mistake in the declaration, reported when the server starts.
    Invalid(String),
}

/// Asks the program whether a name is one of the namespace's: name, `auth` payload, first request.
pub(crate) type Ask =
    Box<dyn Fn(&Arc<str>, Option<Payload<'_>>, Arc<Request>) -> BoxFuture<bool> + Send + Sync>;

impl Names {
    /// A missing leading slash is added.
    pub(crate) fn one(name: &str) -> Self {
        Self::One(with_slash(name).into())
    }

    /// Any text in place of each `{parameter}`, up to the next slash.
    pub(crate) fn pattern(pattern: &str) -> Self {
        match expression_of(&with_slash(pattern)) {
            Ok(expression) => Self::regex(&expression),
            Err(why) => Self::Many(Rule::Invalid(format!("{pattern:?}: {why}"))),
        }
    }

    pub(crate) fn regex(expression: &str) -> Self {
        // Alone first: what does not stand alone could otherwise undo the anchors.
        let anchored =
            Regex::new(expression).and_then(|_| Regex::new(&format!(r"\A(?:{expression})\z")));
        Self::Many(match anchored {
            Ok(regex) => Rule::Matching(regex),
            Err(error) => Rule::Invalid(format!("{expression:?}: {error}")),
        })
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(name) => name.fmt(formatter),
            Self::Many(Rule::Matching(regex)) => regex.as_str().fmt(formatter),
            Self::Many(Rule::Asking(_)) => formatter.write_str("as the program decides"),
            Self::Many(Rule::Invalid(why)) => formatter.write_str(why),
        }
    }
}

impl Rule {
    /// The parameters in a name that matches. `None` when it does not, or when the program would have
    /// to be asked.
    pub(crate) fn params(&self, name: &str) -> Option<Params> {
        let Self::Matching(regex) = self else {
            return None;
        };
        let captures = regex.captures(name)?;
        let named = regex.capture_names().flatten();
        let values = named.filter_map(|group| {
            let value = captures.name(group)?;
            Some((group.to_owned(), value.as_str().to_owned()))
        });
        Some(Params(values.collect()))
    }

    /// Whether a namespace of that name might come to be.
    pub(crate) fn may_match(&self, name: &str) -> bool {
        match self {
            Self::Matching(regex) => regex.is_match(name),
            Self::Asking(_) => true,
            Self::Invalid(_) => false,
        }
    }
}

fn with_slash(name: &str) -> String {
    if name.starts_with('/') {
        name.to_owned()
    } else {
        format!("/{name}")
    }
}

/// The regular expression that a pattern stands for.
fn expression_of(pattern: &str) -> Result<String, &'static str> {
    let mut expression = String::new();
    let mut rest = pattern;
    while let Some((literal, after)) = rest.split_once('{') {
        let Some((parameter, after)) = after.split_once('}') else {
            return Err("a brace is not closed");
        };
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !parameter.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            || !parameter.chars().all(letters)
        {
            return Err("a parameter's name consists of letters, digits and underscores");
        }
        expression.push_str(&regex::escape(literal));
        expression.push_str(&format!("(?P<{parameter}>[^/]+)"));
        rest = after;
    }
    if rest.contains('}') {
        return Err("a brace is not opened");
    }
    expression.push_str(&regex::escape(rest));
    Ok(expression)
}

/// The parts of a dynamic namespace's name that its pattern calls by a name, or the named groups of
/// its regular expression. A client chose them: treat them as input.
///
/// # Examples
///
/// ```
/// use ferriwire::{ConnectError, Handshake, Namespace};
///
/// let orders = Namespace::pattern("/orders/{id}").auth(async |handshake: Handshake| {
///     let id = handshake.params.get("id").and_then(|id| id.parse::<u64>().ok());
///     id.ok_or(ConnectError::new("no such order"))
/// });
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Arc<[(String, String)]>);

impl Params {
    /// The parameter of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// All parameters, in the order of the pattern.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(names: &Names, name: &str) -> Option<Vec<(String, String)>> {
        let Names::Many(rule) = names else {
            return None;
        };
        assert_eq!(rule.params(name).is_some(), rule.may_match(name));
        Some(rule.params(name)?.0.to_vec())
    }

    #[test]
    fn a_pattern_takes_one_segment_for_each_parameter() {
        type Pairs = &'static [(&'static str, &'static str)];
        let cases: [(&str, &str, Option<Pairs>); 14] = [
            ("/orders/{id}", "/orders/7", Some(&[("id", "7")])),
            ("orders/{id}", "/orders/7", Some(&[("id", "7")])),
            ("/orders/{id}", "/orders/", None),
            ("/orders/{id}", "/orders", None),
            ("/orders/{id}", "/orders/7/8", None),
            ("/orders/{id}", "/orders/7/", None),
            ("/orders/{id}", "/x/orders/7", None),
            ("/orders/{id}", "/orders/{id}", Some(&[("id", "{id}")])),
            ("/dynamic-{n}", "/dynamic-101", Some(&[("n", "101")])),
            ("/{a}/{b_2}", "/é/*", Some(&[("a", "é"), ("b_2", "*")])),
            ("/{a}-{b}", "/x-y", Some(&[("a", "x"), ("b", "y")])),
            // Nothing of it is a regular expression.
            ("/a.c/{x}", "/abc/1", None),
            ("/a+(b)/{x}", "/a+(b)/1", Some(&[("x", "1")])),
            ("/plain", "/plain", Some(&[])),
        ];
        for (pattern, name, expected) in cases {
            let expected = expected.map(|pairs| {
                let owned = pairs
                    .iter()
                    .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
                owned.collect::<Vec<_>>()
            });
            assert_eq!(
                params(&Names::pattern(pattern), name),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn an_expression_matches_whole_names_only() {
        let cases = [
            (r"/dynamic-\d+", "/dynamic-101", true),
            (r"^/dynamic-\d+$", "/dynamic-101", true),
            (r"/dynamic-\d+", "/dynamic-101x", false),
            (r"/dynamic-\d+", "/x/dynamic-101", false),
            (r"/dynamic-\d+", "/dynamic-101\n", false),
            (r"/a|/ab", "/ab", true),
            (r"/a|/ab", "/abc", false),
            (r"(?i)/Room", "/rOOM", true),
        ];
        for (expression, name, expected) in cases {
            let found = params(&Names::regex(expression), name).is_some();
            assert_eq!(found, expected, "{expression} {name}");
        }
        let groups = params(&Names::regex(r"/(?<kind>\w+)-(\d+)"), "/room-7");
        assert_eq!(groups, Some(vec![("kind".to_owned(), "room".to_owned())]));
    }

    #[test]
    fn mistakes_are_found() {
        let mistakes = [
            Names::pattern("/{"),
            Names::pattern("/}"),
            Names::pattern("/{}"),
            Names::pattern("/{1}"),
            Names::pattern("/{a b}"),
            Names::pattern("/{a}/{a}"),
            Names::regex("("),
            Names::regex("a)|(?:b"),
        ];
        for names in mistakes {
            assert!(matches!(names, Names::Many(Rule::Invalid(_))), "{names:?}");
        }
    }
}
