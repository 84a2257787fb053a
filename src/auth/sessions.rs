//! `/api/auth/sessions`: where the caller is logged in, and the end of it.

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{PublicSessionId, Session, SessionKey};
use crate::http::{ApiError, ErrorCode, Fields, Json, Message, RequestBody, SessionEntry, at_most};
use crate::identity::{Actor, Audit, Bearer};
use crate::store::Store;

#[derive(Serialize, ToSchema)]
pub(super) struct SessionList {
    #[schema(schema_with = at_most::<ListedSession, { Session::MAX_PER_USER }>)]
    sessions: Vec<ListedSession>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ListedSession {
    #[serde(flatten)]
    entry: SessionEntry,
    /// Whether the request itself belongs to it.
    current: bool,
}

#[utoipa::path(
    get,
    path = "/api/auth/sessions",
    summary = "List sessions",
    description = "Where the caller is logged in.",
    responses((status = 200, description = "The live sessions of the caller.", body = SessionList))
)]
pub(super) async fn list_sessions(bearer: Bearer, store: web::Data<dyn Store>) -> Result<web::Json<SessionList>, ApiError> {
    let sessions = bearer.admit(store.list_sessions(bearer.session_key()).await?)?;
    let current = bearer.session_key().session;
    let live = sessions.into_iter().filter(|session| session.is_live(bearer.now()));
    let sessions = live.map(|session| ListedSession { current: session.hash == current, entry: session.into() }).collect();
    Ok(web::Json(SessionList { sessions }))
}

/// Either of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct EndSessionsBody {
    #[schema(value_type = Option<PublicSessionId>)]
    session_id: Option<String>,
    /// `true` for all sessions but the one of the request.
    all: Option<bool>,
}

impl RequestBody for EndSessionsBody {
    fn ids(&mut self) -> Vec<(&'static str, &mut Option<String>)> {
        vec![("sessionId", &mut self.session_id)]
    }
}

enum Ending {
    One(PublicSessionId),
    AllOthers,
}

impl EndSessionsBody {
    fn check(self) -> Result<Ending, ApiError> {
        let mut fields = Fields::new();
        let ending = match (self.session_id, self.all) {
            (Some(id), None) => fields
                .optional("sessionId", Some(id), |id| PublicSessionId::parse(&id).ok_or("is not the id of a session"))
                .map(Ending::One),
            (None, Some(true)) => Some(Ending::AllOthers),
            _ => {
                fields.wrong("sessionId", "either this or \"all\": true is required");
                None
            }
        };
        fields.finish_with(|| ending)
    }
}

#[utoipa::path(
    delete,
    path = "/api/auth/sessions",
    summary = "End sessions",
    description = "Ends one session of the caller, or all but the one of the request, on every instance, before it is answered.",
    params(("sessionId" = Option<PublicSessionId>, Query, description = "Instead of a body, which some proxies and clients drop.")),
    request_body(content = EndSessionsBody, example = json!({ "all": true })),
    responses((status = 200, description = "The sessions have ended.", body = Message))
)]
pub(super) async fn end_sessions(
    bearer: Bearer,
    store: web::Data<dyn Store>,
    audit: Audit,
    Json(body): Json<EndSessionsBody>,
) -> Result<web::Json<Message>, ApiError> {
    let ending = body.check()?;
    let sessions = bearer.admit(store.list_sessions(bearer.session_key()).await?)?;
    let actor = Actor::User(bearer.user());
    match ending {
        Ending::One(id) => {
            let session = sessions.iter().find(|session| session.hash.public_id() == id && session.is_live(bearer.now()));
            let session = session.ok_or(ErrorCode::SessionNotFound)?.hash;
            // Another request may have ended it meanwhile, which is as good.
            let _was_there = store.end_session(&SessionKey { session, ..*bearer.session_key() }, bearer.now()).await?;
            audit.note_about("session_ended", &actor, &id);
            Ok(Message::new("Session ended successfully"))
        }
        Ending::AllOthers => {
            store.end_other_sessions(bearer.session_key()).await?;
            audit.note("other_sessions_ended", &actor);
            Ok(Message::new("All other sessions ended successfully"))
        }
    }
}
