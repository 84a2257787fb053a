//! Which function a path and a method mean: the first in the order of names that has both. A literal does not beat a parameter.

use actix_web::http::Method;

use crate::percent;

/// A function with its trigger.
#[derive(Debug, Clone)]
pub struct Function {
    pub name: String,
    pub route: Route,
    /// None named: all.
    pub methods: Vec<Method>,
    pub is_anonymous: bool,
}

/// A route template, below the prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Route(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Segment {
    /// In lower case.
    Literal(String),
    Parameter,
    Optional,
    CatchAll,
}

impl Function {
    /// Whether it takes a method at a path, given by its decoded segments below the prefix.
    pub fn takes(&self, method: &Method, segments: &[String]) -> bool {
        (self.methods.is_empty() || self.methods.contains(method)) && matches(&self.route.0, segments)
    }

    /// What no other function may have too.
    pub fn claims(&self) -> impl Iterator<Item = (Route, Option<Method>)> {
        let all = self.methods.is_empty().then_some(None);
        all.into_iter().chain(self.methods.iter().cloned().map(Some)).map(|method| (self.route.clone(), method))
    }
}

impl Route {
    /// Reads a template; `None` for what this stand-in does not know, such as constraints.
    pub fn parse(template: &str) -> Option<Self> {
        template.trim_matches('/').split('/').map(Segment::parse).collect::<Option<_>>().map(Self)
    }

    /// Whether the first segment is a literal.
    pub fn starts_with(&self, literal: &str) -> bool {
        self.0.first() == Some(&Segment::Literal(literal.to_owned()))
    }
}

impl Segment {
    fn parse(text: &str) -> Option<Self> {
        let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            return (!text.contains(['{', '}'])).then(|| Self::Literal(text.to_lowercase()));
        };
        let (kind, name) = match (name.strip_prefix('*'), name.strip_suffix('?')) {
            (Some(name), _) => (Self::CatchAll, name),
            (None, Some(name)) => (Self::Optional, name),
            (None, None) => (Self::Parameter, name),
        };
        name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_').then_some(kind)
    }
}

fn matches(template: &[Segment], path: &[String]) -> bool {
    match (template.split_first(), path.split_first()) {
        (None, None) | (Some((Segment::CatchAll, _)), _) => true,
        (Some((Segment::Literal(literal), template)), Some((segment, path))) => {
            segment.to_lowercase() == *literal && matches(template, path)
        }
        (Some((Segment::Parameter | Segment::Optional, template)), Some((segment, path))) => !segment.is_empty() && matches(template, path),
        (Some((Segment::Optional, template)), None) => matches(template, path),
        _ => false,
    }
}

/// The decoded segments of a path below the prefix; `None` outside it. One slash at the end does not count.
pub fn segments_below(prefix: &str, path: &str) -> Option<Vec<String>> {
    let path = path.strip_prefix('/')?;
    let mut segments = path.split('/').map(|segment| percent::decode(segment, "/")).collect::<Vec<_>>();
    if segments.last().is_some_and(String::is_empty) {
        segments.pop();
    }
    for part in prefix.split('/').filter(|part| !part.is_empty()) {
        if segments.is_empty() || segments.remove(0).to_lowercase() != part {
            return None;
        }
    }
    Some(segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(template: &str, path: &str) -> bool {
        let function = Function {
            name: "test".to_owned(),
            route: Route::parse(template).expect("a template"),
            methods: Vec::new(),
            is_anonymous: true,
        };
        segments_below("api", path).is_some_and(|segments| function.takes(&Method::GET, &segments))
    }

    #[test]
    fn case_and_one_slash_at_the_end_do_not_matter() {
        for path in ["/api/auth/login", "/API/Auth/LOGIN", "/api/auth/login/", "/api/%61uth/login"] {
            assert!(takes("auth/login", path), "{path}");
        }
        for path in ["/api/auth", "/api/auth/login/x", "/api//auth/login", "/auth/login", "/api/auth%2Flogin"] {
            assert!(!takes("auth/login", path), "{path}");
        }
    }

    #[test]
    fn parameters_take_one_segment_and_a_catch_all_takes_the_rest() {
        assert!(takes("users/{id}", "/api/users/7"));
        assert!(!takes("users/{id}", "/api/users"));
        assert!(takes("users/{id?}", "/api/users"));
        for path in ["/api", "/api/", "/api/a", "/api//a/b"] {
            assert!(takes("{*path}", path), "{path}");
        }
    }

    #[test]
    fn constraints_are_not_known() {
        assert_eq!(Route::parse("users/{id:int}"), None);
    }
}
