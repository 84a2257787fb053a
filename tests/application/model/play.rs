//! Lets steps happen, at the application and in the model, and compares what they answer.

use chat_functions::domain::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::step::{Caller, Door, Relation, Step, Token, View, Whom};
use super::view::compare;
use super::world::{Bearer, Number, World};
use crate::Context;
use crate::client::Answer;

/// Nothing, or how the application differs from the model.
pub type Told<T = ()> = Result<T, String>;

/// A run: people of its own in an application that others use too.
pub struct Play<'a> {
    pub context: &'a Context,
    pub world: World,
}

/// What an answer should be.
#[derive(Debug)]
pub enum Expected {
    Ok(Value),
    Fails(u16, &'static str),
    FailsIn(Vec<&'static str>),
}

pub const UNAUTHORIZED: Expected = Expected::Fails(401, "unauthorized");

impl Expected {
    pub fn message(text: &str) -> Self {
        Self::Ok(json!({ "message": text }))
    }

    /// The body, if the answer is as expected.
    pub fn check(self, answer: &Answer) -> Told<Value> {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let (status, code) = match &self {
            Self::Ok(expected) if answer.status.is_success() => return compare("body", expected, &body).map(|()| body),
            Self::Ok(_) => (200, Value::Null),
            Self::Fails(status, code) => (*status, json!(code)),
            Self::FailsIn(_) => (422, json!("validation_failed")),
        };
        let fields = body["fields"].as_object().map(|fields| fields.keys().map(String::as_str).collect::<Vec<_>>());
        let has_fields = !matches!(&self, Self::FailsIn(expected) if fields.as_ref() != Some(expected));
        if answer.status.as_u16() == status && body["code"] == code && has_fields {
            return Ok(body);
        }
        Err(format!("{answer:?} instead of {self:?}"))
    }
}

impl Play<'_> {
    /// Lets a step happen.
    pub async fn take(&mut self, step: &Step) -> Told {
        match *step {
            Step::LogIn { who, door, times } => {
                for _ in 0..times {
                    self.log_in(self.world.slots[who], door).await?;
                }
                Ok(())
            }
            Step::Register { who, name, email } => self.register(who, name, email).await,
            Step::LogOut { by } => self.log_out(by).await,
            Step::EndSession { by, of, session } => self.end_session(by, self.world.slots[of], session).await,
            Step::EndOtherSessions { by } => self.end_other_sessions(by).await,
            Step::Relate { by, relation, whom } => self.relate(by, relation, whom).await,
            Step::TakeMessages { by, from_friends_only } => self.take_messages(by, from_friends_only).await,
            Step::Rename { by, name } => self.rename(by, name).await,
            Step::Send { by, to, text, key } => self.send(by, to, text, key).await,
            Step::ReadChat { by, chat, window, limit } => self.read_chat(by, chat, window, limit).await,
            Step::ReadAll { by, limit } => self.read_all(by, limit).await,
            Step::ListConversations { by, limit } => self.list_conversations(by, limit).await,
            Step::Revisit { by } => self.revisit(by).await,
            Step::MarkRead { by, chat, mark } => self.mark_read(by, chat, mark).await,
            Step::Look { by, at } => self.look(by, at).await,
            Step::Delete { by, door } => self.delete(by, door).await,
            Step::Mistake { by, number } => self.err(by, number).await,
        }
    }

    /// Compares all that everybody can see.
    pub async fn compare_everything(&mut self) -> Told {
        for who in 0..self.world.slots.len() {
            let by = Caller { who, token: Token::Live(0) };
            let number = self.world.slots[who];
            if self.world.is_there(number) && self.world.accounts[number].live().next().is_none() {
                self.log_in(number, Door::Store).await?;
            }
            for at in [View::Profile, View::Friends, View::Blocks, View::Sessions, View::People] {
                self.look(by, at).await?;
            }
            self.read_all(by, 100).await?;
            self.list_conversations(by, 50).await?;
            for other in 0..self.world.accounts.len() {
                self.read_whole_chat(by, other).await?;
            }
        }
        Ok(())
    }

    /// A request with the token of a session, if any.
    pub async fn ask(&self, bearer: &Bearer, method: Method, path: &str, body: Option<&Value>) -> Answer {
        Answer::of(self.request(bearer, method, path, body)).await
    }

    pub fn request(&self, bearer: &Bearer, method: Method, path: &str, body: Option<&Value>) -> reqwest::RequestBuilder {
        let mut request = self.context.client.request(method, path);
        if let Some(session) = &bearer.token {
            request = request.bearer_auth(&session.token);
        }
        match body {
            Some(body) => request.json(body),
            None => request,
        }
    }

    pub fn now(&self) -> Timestamp {
        self.context.clock.now()
    }

    /// How a request writes a person's id.
    pub fn id_of(&self, whom: Whom) -> String {
        match self.world.named(whom) {
            Some(number) => self.world.accounts[number].id.to_string(),
            None if whom == Whom::Garbage => "no id".to_owned(),
            None => nobody(),
        }
    }

    async fn relate(&mut self, by: Caller, relation: Relation, whom: Whom) -> Told {
        let bearer = self.world.bearer(by);
        let (method, path, field) = match relation {
            Relation::Befriend => (Method::POST, "/api/users/friends", "friendId"),
            Relation::Unfriend => (Method::DELETE, "/api/users/friends", "friendId"),
            Relation::Block => (Method::POST, "/api/users/blocks", "userId"),
            Relation::Unblock => (Method::DELETE, "/api/users/blocks", "userId"),
        };
        let expected = match refusal(&bearer, if whom == Whom::Garbage { vec![field] } else { Vec::new() }) {
            Some(refusal) => refusal,
            None => self.related(bearer.number, relation, self.world.named(whom)),
        };
        expected.check(&self.ask(&bearer, method, path, Some(&json!({ field: self.id_of(whom) }))).await).map(drop)
    }

    /// What becomes of a relation in the model.
    fn related(&mut self, own: Number, relation: Relation, other: Option<Number>) -> Expected {
        let there = other.filter(|other| self.world.is_there(*other));
        match (relation, there) {
            (Relation::Befriend, Some(other)) if other == own => Expected::FailsIn(vec!["friendId"]),
            (Relation::Block, Some(other)) if other == own => Expected::FailsIn(vec!["userId"]),
            (Relation::Befriend | Relation::Block, None) => Expected::Fails(404, "user_not_found"),
            (Relation::Befriend, Some(other)) if self.world.has_blocked(other, own) || self.world.has_blocked(own, other) => {
                Expected::Fails(403, "blocked")
            }
            (Relation::Befriend, Some(other)) => {
                add(&mut self.world.accounts[own].friends, other);
                Expected::message("Friend added successfully")
            }
            (Relation::Block, Some(other)) => {
                add(&mut self.world.accounts[own].blocks, other);
                remove(&mut self.world.accounts[own].friends, Some(other));
                remove(&mut self.world.accounts[other].friends, Some(own));
                Expected::message("User blocked successfully")
            }
            (Relation::Unfriend, _) if remove(&mut self.world.accounts[own].friends, other) => {
                Expected::message("Friend removed successfully")
            }
            (Relation::Unfriend, _) => Expected::Fails(404, "not_a_friend"),
            (Relation::Unblock, _) if remove(&mut self.world.accounts[own].blocks, other) => {
                Expected::message("User unblocked successfully")
            }
            (Relation::Unblock, _) => Expected::Fails(404, "not_blocked"),
        }
    }
}

/// The refusal of a request before anything of the model matters: without a token, with a wrong field, with a token that is
/// worth nothing; in this order.
pub fn refusal(bearer: &Bearer, wrong: Vec<&'static str>) -> Option<Expected> {
    match &bearer.token {
        None => Some(UNAUTHORIZED),
        Some(_) if !wrong.is_empty() => Some(Expected::FailsIn(wrong)),
        Some(session) if !session.is_live => Some(UNAUTHORIZED),
        Some(_) => None,
    }
}

fn add(list: &mut Vec<Number>, number: Number) {
    if !list.contains(&number) {
        list.push(number);
    }
}

/// Whether it was there.
fn remove(list: &mut Vec<Number>, number: Option<Number>) -> bool {
    let before = list.len();
    list.retain(|other| Some(*other) != number);
    list.len() < before
}

/// An id that nobody has.
pub fn nobody() -> String {
    chat_functions::domain::UserId::generate().to_string()
}
