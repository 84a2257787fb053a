//! `POST /api/auth/logout`: the end of the caller's session, on every instance, before the answer is sent.

use actix_web::web;

use crate::http::{ApiError, Message};
use crate::identity::{Actor, Audit, Bearer};
use crate::store::Store;

#[utoipa::path(
    post,
    path = "/api/auth/logout",
    summary = "Log out",
    description = "Ends the session of the token, on every instance, before it is answered.",
    responses((status = 200, description = "The session has ended.", body = Message))
)]
pub(super) async fn log_out(bearer: Bearer, store: web::Data<dyn Store>, audit: Audit) -> Result<web::Json<Message>, ApiError> {
    bearer.admit(store.find_session(bearer.session_key()).await?)?;
    // Another log-out of the same session at the same time has done the same.
    let _was_there = store.end_session(bearer.session_key(), bearer.now()).await?;
    audit.note("logged_out", &Actor::User(bearer.user()));
    Ok(Message::new("Logout successful"))
}
