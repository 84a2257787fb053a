//! `PUT /api/chat/conversations`: how far the caller has read a chat.

use actix_web::web;
use serde::{Deserialize, Serialize};

use crate::domain::ChatId;
use crate::http::{ApiError, ErrorCode, Fields, Json, RequestBody};
use crate::identity::Bearer;
use crate::store::{Marking, Store};

const NO_SUCH_MESSAGE: &str = "must be the number of a message of this chat";

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ReadMarkBody {
    chat_id: Option<String>,
    read_seq: Option<i64>,
}

impl RequestBody for ReadMarkBody {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadMark {
    message: &'static str,
    chat_id: String,
    read_seq: u64,
    last_seq: u64,
    unread: u64,
}

/// A mark behind the present one changes nothing: it comes from a device that is behind, or from a request that was overtaken.
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
