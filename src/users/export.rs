//! `GET /api/users/export`: everything that is kept of the caller, one JSON object a line.
//!
//! The first page begins with the account, its sessions, friends and blocks; messages follow, newest first, over as many
//! pages as it takes, then how far the caller has read each chat. Secrets are not part of it.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, ToSchema};

use crate::domain::{ChatId, Timestamp, UserId};
use crate::http::{ApiError, ErrorCode, Fields, MessageBody, Query, Room, SessionEntry, cut_page, decode_cursor, optional, text_schema};
use crate::identity::Bearer;
use crate::store::{AccountData, Conversation, ConversationCursor, Message, MessageCursor, MessagesFrom, Store, StoreError};

const PAGE_ENTRIES: usize = 100;
/// What the cursor to a page of conversations begins with; the first of them has nothing behind it.
const CONVERSATIONS: &str = "chats.";
const NEXT_CURSOR: &str = "X-Next-Cursor";
const NDJSON: &str = "application/x-ndjson";

/// A line of an export.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportLine)]
#[serde(tag = "type", rename_all = "camelCase")]
enum Line {
    #[serde(rename_all = "camelCase")]
    Account {
        #[schema(value_type = UserId)]
        id: String,
        #[schema(examples("ann"))]
        username: String,
        #[schema(examples("ann@example.com"))]
        email: String,
        is_email_verified: bool,
        /// The address that the account moves to when the link sent there is used.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = String, required = false, examples("ann@example.net"))]
        pending_email: Option<String>,
        /// Former addresses that are a way back to the account, oldest first.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        #[schema(required = false, max_items = 3)]
        recovery_emails: Vec<String>,
        #[schema(value_type = MessagesFrom)]
        messages_from: &'static str,
        #[serde(rename = "last_login")]
        #[schema(required)]
        last_login: Option<Timestamp>,
        #[schema(required)]
        last_seen: Option<Timestamp>,
        created_at: Timestamp,
    },
    Session(SessionEntry),
    #[serde(rename_all = "camelCase")]
    Friend {
        #[schema(value_type = UserId)]
        user_id: String,
        added_at: Timestamp,
    },
    #[serde(rename_all = "camelCase")]
    Block {
        #[schema(value_type = UserId)]
        user_id: String,
    },
    Message(MessageBody),
    #[serde(rename_all = "camelCase")]
    Conversation {
        #[schema(value_type = ChatId)]
        chat_id: String,
        #[schema(value_type = UserId)]
        user_id: String,
        /// How far the caller has read.
        #[schema(examples(42))]
        read_seq: u64,
    },
}

/// Where a page begins.
enum Place {
    Account,
    Messages(MessageCursor),
    Conversations(Option<ConversationCursor>),
}

impl IntoParams for Place {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let value = text_schema("The `X-Next-Cursor` of the page before.", CONVERSATIONS);
        vec![optional("cursor", ParameterIn::Query, value, "Where the page begins; the first one has none.")]
    }
}

/// A page, and the cursor to the next one.
type Page = (Vec<Line>, Option<String>);

#[utoipa::path(
    get,
    path = "/api/users/export",
    summary = "Export everything",
    description = "Everything that is kept of the caller, one JSON object a line.",
    params(Place),
    responses((
        status = 200,
        description = "A page of lines, each of which is as the schema says. `X-Next-Cursor` is there while there are more.",
        body = Line,
        content_type = "application/x-ndjson",
        headers(("X-Next-Cursor" = String, description = "The `cursor` of the next page.")),
        example = json!({ "type": "block", "userId": "0199f3c2a4d17f3b8e2c4d5e6f708192" })
    ))
)]
pub(super) async fn export(request: HttpRequest, bearer: Bearer, store: web::Data<dyn Store>) -> Result<HttpResponse, ApiError> {
    let store = store.get_ref();
    let (lines, next) = match check(request.query_string())? {
        Place::Account => {
            let messages = store.list_messages(bearer.user(), None, PAGE_ENTRIES + 1);
            let (found, messages) = futures_util::try_join!(store.find_account_data(bearer.session_key()), messages)?;
            let mut lines = account_lines(bearer.admit(found)?, bearer.now());
            let (messages, next) = message_lines(messages, Room::after(to_ndjson(&lines)?.len()))?;
            lines.extend(messages);
            (lines, next)
        }
        Place::Messages(cursor) => {
            let messages = store.list_messages(bearer.user(), Some(&cursor), PAGE_ENTRIES + 1);
            message_lines(behind_session(store, &bearer, messages).await?, Room::after(0))?
        }
        Place::Conversations(cursor) => {
            let conversations = store.list_conversations(bearer.user(), cursor.as_ref(), PAGE_ENTRIES + 1, bearer.now());
            conversation_lines(behind_session(store, &bearer, conversations).await?)?
        }
    };
    let mut answer = HttpResponse::Ok();
    if let Some(next) = next {
        answer.insert_header((NEXT_CURSOR, next));
    }
    Ok(answer.content_type(NDJSON).body(to_ndjson(&lines)?))
}

fn check(query: &str) -> Result<Place, ApiError> {
    let mut query = Query::parse(query, &["cursor"])?;
    let mut fields = Fields::new();
    let place = fields.optional("cursor", query.take("cursor"), |text| parse_place(&text).ok_or("is not an X-Next-Cursor of this list"));
    fields.finish().map(|()| place.unwrap_or(Place::Account))
}

fn parse_place(text: &str) -> Option<Place> {
    match text.strip_prefix(CONVERSATIONS) {
        None => decode_cursor(text).map(Place::Messages),
        Some("") => Some(Place::Conversations(None)),
        Some(text) => decode_cursor(text).map(|cursor| Place::Conversations(Some(ConversationCursor::from(cursor)))),
    }
}

/// A read that needs nothing of the caller but a live session.
async fn behind_session<T>(store: &dyn Store, bearer: &Bearer, read: impl Future<Output = Result<T, StoreError>>) -> Result<T, ApiError> {
    let (found, read) = futures_util::try_join!(store.find_session(bearer.session_key()), read)?;
    bearer.admit(found).map(|()| read)
}

/// One message more than the page holds tells whether there is another page.
fn message_lines(messages: Vec<Message>, room: Room) -> Result<Page, ApiError> {
    // Whoever has no message has no chat.
    let then_chats = (!messages.is_empty()).then(|| CONVERSATIONS.to_owned());
    let (lines, next) = cut_page(messages, PAGE_ENTRIES, room, |message| message, |message| Line::Message(message.into()))?;
    Ok((lines, next.or(then_chats)))
}

fn conversation_lines(conversations: Vec<Conversation>) -> Result<Page, ApiError> {
    let line = |conversation: Conversation| Line::Conversation {
        chat_id: conversation.chat().to_string(),
        user_id: conversation.peer_id().to_string(),
        read_seq: conversation.read_seq,
    };
    let (lines, next) = cut_page(conversations, PAGE_ENTRIES, Room::after(0), |conversation| &conversation.last_message, line)?;
    Ok((lines, next.map(|cursor| format!("{CONVERSATIONS}{cursor}"))))
}

/// What is past its time is no part of it.
fn account_lines(data: AccountData, now: Timestamp) -> Vec<Line> {
    let pending = data.user.pending_email.filter(|pending| now < pending.until);
    let recovery = data.recovery_until.filter(|until| now < *until).map(|_| data.recovery);
    let account = Line::Account {
        id: data.user.id.to_string(),
        username: data.user.username.as_str().to_owned(),
        email: data.user.email.as_str().to_owned(),
        is_email_verified: data.user.is_email_verified,
        pending_email: pending.map(|pending| pending.address.as_str().to_owned()),
        recovery_emails: recovery.into_iter().flatten().map(|email| email.as_str().to_owned()).collect(),
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
