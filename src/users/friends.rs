//! `/api/users/friends`: the caller's address book. One-sided; it lets a friend write and see the caller's presence.

use actix_web::web;
use serde::Deserialize;

use crate::domain::UserId;
use crate::http::{ApiError, ErrorCode, Fields, Json, Message, RequestBody};
use crate::identity::Bearer;
use crate::store::{FriendAddition, Store};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct FriendBody {
    friend_id: Option<String>,
}

impl RequestBody for FriendBody {}

impl FriendBody {
    fn check(self) -> Result<UserId, ApiError> {
        let mut fields = Fields::new();
        let friend = fields.required("friendId", self.friend_id, |text| UserId::parse(&text).ok_or("is not the id of a user"));
        fields.finish_with(|| friend)
    }
}

pub(super) async fn add_friend(
    bearer: Bearer,
    store: web::Data<dyn Store>,
    Json(body): Json<FriendBody>,
) -> Result<web::Json<Message>, ApiError> {
    let friend = body.check()?;
    let found = bearer.admit(store.find_peer(bearer.session_key(), friend).await?)?;
    if friend == bearer.user() {
        return Err(ApiError::field("friendId", "must not be yourself"));
    }
    let peer = found.ok_or(ErrorCode::UserNotFound)?;
    if peer.has_blocked_caller {
        return Err(ErrorCode::Blocked.into());
    }
    match store.add_friend(bearer.user(), friend, bearer.now()).await? {
        FriendAddition::Added | FriendAddition::AlreadyFriend => Ok(Message::new("Friend added successfully")),
        FriendAddition::Blocked => Err(ErrorCode::Blocked.into()),
        FriendAddition::LimitReached => Err(ErrorCode::FriendLimit.into()),
    }
}

pub(super) async fn remove_friend(
    bearer: Bearer,
    store: web::Data<dyn Store>,
    Json(body): Json<FriendBody>,
) -> Result<web::Json<Message>, ApiError> {
    let friend = body.check()?;
    bearer.admit(store.find_session(bearer.session_key()).await?)?;
    if store.remove_friend(bearer.user(), friend).await? {
        Ok(Message::new("Friend removed successfully"))
    } else {
        Err(ErrorCode::NotAFriend.into())
    }
}
