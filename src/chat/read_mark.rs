//! `PUT /api/chat/conversations`: how far the caller has read a chat.

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::ChatId;
use crate::http::{ApiError, ErrorCode, Fields, Json, RequestBody};
use crate::identity::Bearer;
use crate::store::{Marking, Store};

const NO_SUCH_MESSAGE: &str = "must be the number of a message of this chat";

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ReadMarkBody {
    #[schema(required, value_type = ChatId)]
    chat_id: Option<String>,
    /// The number of a message of the chat.
    #[schema(required, value_type = u64, minimum = 1, examples(42))]
    read_seq: Option<i64>,
}

impl RequestBody for ReadMarkBody {}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadMark {
    #[schema(examples("Conversation marked as read"))]
    message: &'static str,
    #[schema(value_type = ChatId)]
    chat_id: String,
    /// How far the caller has read by now.
    #[schema(minimum = 1, examples(42))]
    read_seq: u64,
    /// The number of the newest message.
    #[schema(minimum = 1, examples(42))]
    last_seq: u64,
    /// Messages that the caller has not read.
    #[schema(examples(0))]
    unread: u64,
}

/// A mark behind the present one changes nothing: it comes from a device that is behind, or from a request that was overtaken.
#[utoipa::path(
    put,
    path = "/api/chat/conversations",
    summary = "Mark a chat as read",
    description = "Marks a chat as read up to a message. A mark never moves back.",
    request_body = ReadMarkBody,
    responses((status = 200, description = "How far the chat is read.", body = ReadMark))
)]
pub(super) async fn mark_read(
    bearer: Bearer,
    store: web::Data<dyn Store>,
    Json(body): Json<ReadMarkBody>,
) -> Result<web::Json<ReadMark>, ApiError> {
    let (chat, seq) = check(body)?;
    bearer.admit(store.find_session(bearer.session_key()).await?)?;
    match store.mark_read(bearer.user(), chat, seq).await? {
        Marking::Read { read_seq, last_seq } => Ok(web::Json(ReadMark {
            message: "Conversation marked as read",
            chat_id: chat.to_string(),
            read_seq,
            last_seq,
            unread: last_seq.saturating_sub(read_seq),
        })),
        Marking::BeyondLast => Err(ApiError::field("readSeq", NO_SUCH_MESSAGE)),
        Marking::NoChat => Err(ErrorCode::ChatNotFound.into()),
    }
}

fn check(body: ReadMarkBody) -> Result<(ChatId, u64), ApiError> {
    let mut fields = Fields::new();
    let chat = fields.required("chatId", body.chat_id, |text| ChatId::parse(&text).ok_or("is not the id of a chat"));
    let seq = fields.required("readSeq", body.read_seq, |seq| u64::try_from(seq).ok().filter(|seq| *seq > 0).ok_or(NO_SUCH_MESSAGE));
    fields.finish_with(|| chat.zip(seq))
}
