//! Steps that begin and end accounts and sessions, and change profiles.

use chat_functions::domain::{Email, PasswordHash, SessionId, UserId};
use chat_functions::identity::Tokens;
use reqwest::Method;
use serde_json::{Value, json};

use super::play::{Expected, Play, Told, UNAUTHORIZED, refusal};
use super::step::{Caller, Door, PEOPLE, Slot, View};
use super::view::{TEXT, TIME, compare};
use super::world::{Account, Number, Session, World, pick};
use crate::client::{PASSWORD, new_name, text};
use crate::support::server::JWT_SECRET;
use crate::{Context, people, support};

/// What everybody's password is not.
const WRONG_PASSWORD: &str = "maple-anchor-violin";
/// How a route names the users that it lists.
const USERS: &str = "users";

impl<'a> Play<'a> {
    /// People who are new, each with one session. Their accounts are made past the application, so that nothing is hashed.
    pub async fn begin(context: &'a Context, password: &PasswordHash) -> Self {
        let stem = new_name();
        let (accounts, slots) = (Vec::new(), std::array::from_fn(|slot| slot));
        let mut play = Self { context, world: World { stem, accounts, slots, chats: Vec::new() } };
        for slot in 0..PEOPLE {
            let person = people::create(context, &format!("{}{slot}", play.world.stem), password).await;
            let id = UserId::parse(&person.id).expect("an id");
            play.world.accounts.push(Account::new(id, person.username, person.email));
            play.begin_session(slot, person.token);
        }
        play
    }

    pub(super) async fn log_in(&mut self, number: Number, door: Door) -> Told {
        // Of two log-ins at one instant it would be open which is older.
        self.context.clock.advance_millis(1);
        let Account { email, is_deleted, .. } = &self.world.accounts[number];
        if door == Door::Store {
            return if *is_deleted { Ok(()) } else { self.log_in_through_the_store(number).await };
        }
        let owner = self.world.accounts.iter().position(|account| !account.is_deleted && account.email == *email);
        let password = if door == Door::RightPassword { PASSWORD } else { WRONG_PASSWORD };
        let answer = self.context.client.log_in(email, password).await;
        let Some(owner) = owner.filter(|_| door == Door::RightPassword) else {
            return Expected::Fails(401, "invalid_credentials").check(&answer).map(drop);
        };
        self.entered(owner, "Login successful").check(&answer).map(|body| self.begin_session(owner, text(&body["token"])))
    }

    async fn log_in_through_the_store(&mut self, number: Number) -> Told {
        let (account, now) = (&self.world.accounts[number], self.now());
        let key = Email::parse(&account.email).expect("an address").key();
        let stored = self.context.store.find_credentials(&key).await.map_err(|error| error.to_string())?.ok_or("no account")?;
        let id = SessionId::generate().expect("random bytes");
        let session = chat_functions::domain::Session::begin(&id, now, None);
        let begun = self.context.store.start_session(stored.user, &stored.password_hash, None, &session).await;
        begun.map_err(|error| error.to_string())?.ok_or("no session")?;
        self.begin_session(number, support::accounts::token(account.id, &id, &session));
        Ok(())
    }

    pub(super) async fn register(&mut self, who: Slot, name: u8, email: u8) -> Told {
        let own = self.world.at(who);
        let (mut username, mut address) = (self.wished_name(name), format!("{}e{email}@example.com", self.world.stem));
        if !own.is_deleted && name.is_multiple_of(2) {
            username.clone_from(&own.username);
        } else if !own.is_deleted {
            address.clone_from(&own.email);
        }
        let answer = self.context.client.register(&username, &address, PASSWORD).await;
        if self.world.is_name_taken(&username, None) {
            return Expected::Fails(409, "username_taken").check(&answer).map(drop);
        }
        if self.world.is_address_taken(&address) {
            return Expected::Fails(409, "email_taken").check(&answer).map(drop);
        }
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let id = UserId::parse(body["user"]["id"].as_str().unwrap_or_default()).ok_or_else(|| format!("{answer:?}"))?;
        let number = self.world.accounts.len();
        self.world.accounts.push(Account::new(id, username, address));
        self.world.slots[who] = number;
        let body = self.entered(number, "Registration successful").check(&answer)?;
        self.begin_session(number, text(&body["token"]));
        Ok(())
    }

    /// The answer to whoever has come in.
    fn entered(&self, number: Number, message: &str) -> Expected {
        Expected::Ok(json!({ "message": message, "token": TEXT, "expiresAt": TIME, "user": self.world.own_user(number) }))
    }

    fn begin_session(&mut self, number: Number, token: String) {
        let key = Tokens::new(&JWT_SECRET.into()).verify(&token, self.now()).expect("a token of ours");
        let public_id = key.session.public_id().to_string();
        self.world.accounts[number].begin(Session { token, public_id, is_live: true });
    }

    pub(super) async fn log_out(&mut self, by: Caller) -> Told {
        let bearer = self.world.bearer(by);
        let answer = self.ask(&bearer, Method::POST, "/api/auth/logout", None).await;
        let Some(session) = bearer.token.filter(|session| session.is_live) else { return UNAUTHORIZED.check(&answer).map(drop) };
        self.world.accounts[bearer.number].end(&session.token);
        Expected::message("Logout successful").check(&answer).map(drop)
    }

    pub(super) async fn end_session(&mut self, by: Caller, of: Number, session: u8) -> Told {
        let bearer = self.world.bearer(by);
        let Some(ended) = pick(&self.world.accounts[of].sessions, session).cloned() else { return Ok(()) };
        let answer = self.ask(&bearer, Method::DELETE, "/api/auth/sessions", Some(&json!({ "sessionId": ended.public_id }))).await;
        let expected = match refusal(&bearer, Vec::new()) {
            Some(refusal) => refusal,
            None if of == bearer.number && ended.is_live => Expected::message("Session ended successfully"),
            None => Expected::Fails(404, "session_not_found"),
        };
        if matches!(expected, Expected::Ok(_)) {
            self.world.accounts[of].end(&ended.token);
        }
        expected.check(&answer).map(drop)
    }

    pub(super) async fn end_other_sessions(&mut self, by: Caller) -> Told {
        let bearer = self.world.bearer(by);
        let answer = self.ask(&bearer, Method::DELETE, "/api/auth/sessions", Some(&json!({ "all": true }))).await;
        let Some(session) = bearer.token.filter(|session| session.is_live) else { return UNAUTHORIZED.check(&answer).map(drop) };
        self.world.accounts[bearer.number].end_others(&session.token);
        Expected::message("All other sessions ended successfully").check(&answer).map(drop)
    }

    pub(super) async fn take_messages(&mut self, by: Caller, from_friends_only: bool) -> Told {
        let bearer = self.world.bearer(by);
        let choice = if from_friends_only { "friends" } else { "everyone" };
        let answer = self.ask(&bearer, Method::PUT, "/api/users/profile", Some(&json!({ "messagesFrom": choice }))).await;
        if let Some(refusal) = refusal(&bearer, Vec::new()) {
            return refusal.check(&answer).map(drop);
        }
        self.world.accounts[bearer.number].from_friends_only = from_friends_only;
        self.updated(bearer.number).check(&answer).map(drop)
    }

    pub(super) async fn rename(&mut self, by: Caller, name: u8) -> Told {
        let (bearer, username) = (self.world.bearer(by), self.wished_name(name));
        let answer = self.ask(&bearer, Method::PUT, "/api/users/profile", Some(&json!({ "username": username }))).await;
        if let Some(refusal) = refusal(&bearer, Vec::new()) {
            return refusal.check(&answer).map(drop);
        }
        if self.world.is_name_taken(&username, Some(bearer.number)) {
            return Expected::Fails(409, "username_taken").check(&answer).map(drop);
        }
        self.world.accounts[bearer.number].username = username;
        self.updated(bearer.number).check(&answer).map(drop)
    }

    fn updated(&self, number: Number) -> Expected {
        Expected::Ok(json!({ "message": "Profile updated successfully", "user": self.world.own_user(number) }))
    }

    /// Few names, so that people wish for the same, in two spellings that count as one.
    fn wished_name(&self, name: u8) -> String {
        let mark = if name < 3 { "r" } else { "R" };
        format!("{}{mark}{}", self.world.stem, name % 3)
    }

    pub(super) async fn delete(&mut self, by: Caller, door: Door) -> Told {
        let bearer = self.world.bearer(by);
        if door == Door::Store {
            return if self.world.is_there(bearer.number) { self.delete_through_the_store(bearer.number).await } else { Ok(()) };
        }
        let password = if door == Door::RightPassword { PASSWORD } else { WRONG_PASSWORD };
        let answer = self.ask(&bearer, Method::DELETE, "/api/users/profile", Some(&json!({ "password": password }))).await;
        let expected = match refusal(&bearer, Vec::new()) {
            Some(refusal) => refusal,
            None if door == Door::WrongPassword => Expected::Fails(403, "wrong_password"),
            None => Expected::message("Account deleted successfully"),
        };
        if matches!(expected, Expected::Ok(_)) {
            self.world.delete(bearer.number);
        }
        expected.check(&answer).map(drop)
    }

    async fn delete_through_the_store(&mut self, number: Number) -> Told {
        let key = Email::parse(&self.world.accounts[number].email).expect("an address").key();
        let stored = self.context.store.find_credentials(&key).await.map_err(|error| error.to_string())?.ok_or("no account")?;
        let is_done = self.context.store.delete_account(stored.user, &stored.password_hash, self.now()).await;
        self.world.delete(number);
        if is_done.map_err(|error| error.to_string())? { Ok(()) } else { Err("nothing was deleted".to_owned()) }
    }

    pub(super) async fn look(&mut self, by: Caller, at: View) -> Told {
        let bearer = self.world.bearer(by);
        let ids: Vec<_> = self.world.accounts.iter().map(|account| account.id.to_string()).collect();
        let path = match at {
            View::Profile => "/api/users/profile".to_owned(),
            View::Friends => "/api/users/friends".to_owned(),
            View::Blocks => "/api/users/blocks".to_owned(),
            View::Sessions => "/api/auth/sessions".to_owned(),
            View::People => format!("/api/users/search?username={}", self.world.stem),
            View::Ids => format!("/api/users/search?ids={}", ids.join(",")),
        };
        let answer = self.ask(&bearer, Method::GET, &path, None).await;
        if let Some(refusal) = refusal(&bearer, Vec::new()) {
            return refusal.check(&answer).map(drop);
        }
        let token = bearer.token.map(|session| session.token).unwrap_or_default();
        let (expected, seen) = self.seen(bearer.number, &token, at, &answer.json());
        compare(&path, &expected, &seen)
    }

    /// What should be seen, and what is, both in the same order.
    fn seen(&self, number: Number, token: &str, at: View, body: &Value) -> (Value, Value) {
        let list = |name: &str| body[name].as_array().cloned().unwrap_or_default();
        match at {
            View::Profile => (self.world.own_user(number), body.clone()),
            View::Friends => (self.world.friends(number), body.clone()),
            View::Blocks => (self.world.blocks(number), body.clone()),
            View::Sessions => {
                let mut seen: Vec<_> =
                    list("sessions").into_iter().map(|session| (text(&session["id"]), session["current"] == true)).collect();
                seen.sort();
                (self.world.sessions(number, token), json!(seen))
            }
            View::People => (self.world.people(number), json!(list(USERS))),
            View::Ids => {
                let mut seen = list(USERS);
                seen.sort_by_key(|user| text(&user["username"]).to_ascii_lowercase());
                (self.world.people(number), json!(seen))
            }
        }
    }
}
