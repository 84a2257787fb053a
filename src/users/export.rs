//! `GET /api/users/export`: everything that is kept of the caller, one JSON object a line.
//!
//! The first page begins with the account, its sessions, friends and blocks; messages follow, newest first, over as many
//! pages as it takes. Secrets are not part of it.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use crate::domain::Timestamp;
use crate::http::{ApiError, ErrorCode, Fields, MessageBody, Query, SessionEntry, cut_page, decode_cursor};
use crate::identity::Bearer;
use crate::store::{AccountData, MessageCursor, Store};

const PAGE_MESSAGES: usize = 100;
const NEXT_CURSOR: &str = "X-Next-Cursor";
const NDJSON: &str = "application/x-ndjson";

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Line {
    Account {
        id: String,
        username: String,
        email: String,
        is_email_verified: bool,
        /// The address before this one, for as long as it is kept.
        #[serde(skip_serializing_if = "Option::is_none")]
        previous_email: Option<String>,
        messages_from: &'static str,
        #[serde(rename = "last_login")]
        last_login: Option<Timestamp>,
        last_seen: Option<Timestamp>,
        created_at: Timestamp,
    },
    Session(SessionEntry),
    Friend {
        user_id: String,
        added_at: Timestamp,
    },
    Block {
        user_id: String,
    },
    Message(MessageBody),
}

pub(super) async fn export(request: HttpRequest, bearer: Bearer, store: web::Data<dyn Store>) -> Result<HttpResponse, ApiError> {
    let cursor = check(request.query_string())?;
    // One more than the page holds tells whether there is another page.
    let listed = store.list_messages(bearer.user(), cursor.as_ref(), PAGE_MESSAGES + 1);
    let (mut lines, mut messages) = if cursor.is_none() {
        let (found, messages) = futures_util::try_join!(store.find_account_data(bearer.session_key()), listed)?;
        (account_lines(bearer.admit(found)?), messages)
    } else {
        let (found, messages) = futures_util::try_join!(store.find_session(bearer.session_key()), listed)?;
        bearer.admit(found)?;
        (Vec::new(), messages)
    };
    let next = cut_page(&mut messages, PAGE_MESSAGES);
    lines.extend(messages.into_iter().map(|message| Line::Message(message.into())));
    let mut answer = HttpResponse::Ok();
    if let Some(next) = next {
        answer.insert_header((NEXT_CURSOR, next));
    }
    Ok(answer.content_type(NDJSON).body(to_ndjson(&lines)?))
}

fn check(query: &str) -> Result<Option<MessageCursor>, ApiError> {
    let mut query = Query::parse(query, &["cursor"])?;
    let mut fields = Fields::new();
    let cursor = fields.optional("cursor", query.take("cursor"), |text| decode_cursor(&text).ok_or("is not an X-Next-Cursor of this list"));
    fields.finish().map(|()| cursor)
}

fn account_lines(data: AccountData) -> Vec<Line> {
    let account = Line::Account {
        id: data.user.id.to_string(),
        username: data.user.username.as_str().to_owned(),
        email: data.user.email.as_str().to_owned(),
        is_email_verified: data.user.is_email_verified,
        previous_email: data.previous_email.map(|(email, _)| email.as_str().to_owned()),
        messages_from: data.user.messages_from.as_str(),
        last_login: data.user.last_login,
        last_seen: data.last_seen,
        created_at: data.user.created_at,
    };
    let sessions = data.sessions.into_iter().map(|session| Line::Session(session.into()));
    let friends = data.friends.into_iter().map(|(id, added_at)| Line::Friend { user_id: id.to_string(), added_at });
    let blocks = data.blocks.into_iter().map(|id| Line::Block { user_id: id.to_string() });
    std::iter::once(account).chain(sessions).chain(friends).chain(blocks).collect()
}

fn to_ndjson(lines: &[Line]) -> Result<Vec<u8>, ApiError> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line).map_err(|error| ApiError::caused(ErrorCode::Internal, error))?;
        text.push(b'\n');
    }
    Ok(text)
}
