//! `POST /api/chat/send`: a message to another person, durable when the answer is sent, and sent once however often the
//! request is repeated with the same client id.

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, ToSchema};

use crate::domain::{ChatId, ClientId, MessageId, MessageText, Timestamp, UserId};
use crate::http::{ApiError, ErrorCode, Fields, Json, RequestBody, optional, reference};
use crate::identity::{Actor, Audit, Bearer};
use crate::rate_limits::ClientLimits;
use crate::store::{Append, Message, NewMessage, Store, StoreError};

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
const IDEMPOTENCY_REPLAYED: &str = "Idempotency-Replayed";

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SendBody {
    #[schema(required, value_type = UserId)]
    recipient_id: Option<String>,
    #[schema(required, value_type = MessageText)]
    message: Option<String>,
    #[schema(value_type = Option<ClientId>)]
    client_id: Option<String>,
}

impl RequestBody for SendBody {
    /// 4,000 characters, all written as `\u` escapes, are 48 kB.
    const MAX_BYTES: usize = 64 * 1024;
}

struct Send {
    recipient: UserId,
    text: MessageText,
    client_id: Option<ClientId>,
}

impl IntoParams for Send {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "The `clientId` of the message, in place of the field or the same as it. May stand in double quotes.";
        vec![optional(IDEMPOTENCY_KEY, ParameterIn::Header, reference::<ClientId>(), description)]
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SentMessage)]
struct SentBody {
    #[schema(examples("Message sent successfully"))]
    message: &'static str,
    id: MessageId,
    chat_id: ChatId,
    /// Its number in its chat.
    #[schema(minimum = 1, examples(42))]
    seq: u64,
    timestamp: Timestamp,
}

#[utoipa::path(
    post,
    path = "/api/chat/send",
    summary = "Send a message",
    description = "Sends a message to another person. It is durable when it is answered, and the chat is read up to it for its sender. \
        Repeating a send with its `clientId` gives the first answer.",
    params(Send),
    request_body = SendBody,
    responses((
        status = 200,
        description = "The message is stored.",
        body = SentBody,
        headers(("Idempotency-Replayed" = String, description = "`true` when the message was stored by an earlier request."))
    ))
)]
pub(super) async fn send_message(
    request: HttpRequest,
    bearer: Bearer,
    store: web::Data<dyn Store>,
    limits: ClientLimits,
    audit: Audit,
    Json(body): Json<SendBody>,
) -> Result<HttpResponse, ApiError> {
    let Send { recipient, text, client_id } = check(body, idempotency_key(request.headers())?)?;
    let Some(chat) = ChatId::between(bearer.user(), recipient) else {
        bearer.admit(store.find_session(bearer.session_key()).await?)?;
        return Err(ApiError::field("recipientId", "must not be yourself"));
    };
    let (found, head) = futures_util::try_join!(store.find_peer(bearer.session_key(), recipient), store.find_chat_head(chat))?;
    let peer = bearer.admit(found)?.ok_or(ErrorCode::UserNotFound)?;
    if !peer.accepts_caller() {
        audit.note_about("message_refused", &Actor::User(bearer.user()), &recipient);
        return Err(ErrorCode::NotAccepted.into());
    }
    let begins_with_stranger = head.is_none() && !peer.has_added_caller;
    let counted = if begins_with_stranger { Some(limits.begin_chat(bearer.user()).await?) } else { None };
    let message = NewMessage { chat, sender: bearer.user(), text, client_id, sent_at: bearer.now() };
    let appended = store.append_message(&message, head).await;
    if let Some(counted) = counted.filter(|_| !may_have_begun_chat(&appended)) {
        counted.give_back();
    }
    match appended? {
        Append::Stored(message) => Ok(HttpResponse::Ok().json(sent(&message))),
        Append::Replayed(message) => Ok(HttpResponse::Ok().insert_header((IDEMPOTENCY_REPLAYED, "true")).json(sent(&message))),
        Append::Mismatch => Err(ErrorCode::IdempotencyMismatch.into()),
    }
}

/// Another message may have begun the chat meanwhile, or nothing may have been stored at all.
fn may_have_begun_chat(appended: &Result<Append, StoreError>) -> bool {
    match appended {
        Ok(Append::Stored(message)) => message.seq == 1,
        Err(error) => matches!(error, StoreError::OutcomeUnknown(_)),
        Ok(Append::Replayed(_) | Append::Mismatch) => false,
    }
}

fn sent(message: &Message) -> SentBody {
    SentBody { message: "Message sent successfully", id: message.id(), chat_id: message.chat, seq: message.seq, timestamp: message.sent_at }
}

fn check(body: SendBody, header_key: Option<ClientId>) -> Result<Send, ApiError> {
    let mut fields = Fields::new();
    let recipient = fields.required("recipientId", body.recipient_id, |text| UserId::parse(&text).ok_or("is not the id of a user"));
    let text = fields.required("message", body.message, MessageText::parse);
    let body_key = fields.optional("clientId", body.client_id, |text| ClientId::parse(&text));
    if body_key.is_some() && header_key.is_some() && body_key != header_key {
        fields.wrong("clientId", "must be the same as the header Idempotency-Key when both are given");
    }
    fields.finish_with(|| Some(Send { recipient: recipient?, text: text?, client_id: body_key.or(header_key) }))
}

/// The key in the header, bare or in double quotes; several are refused.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<ClientId>, ApiError> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY);
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    match ClientId::parse(bare) {
        Ok(key) if values.next().is_none() => Ok(Some(key)),
        _ => Err(ErrorCode::InvalidRequest.into()),
    }
}
