//! What every service needs to speak HTTP: the error envelope, checked bodies and queries, and the table of endpoints.

mod capacity;
mod endpoint;
mod error;
mod fields;
mod json;
mod message;
mod messages;
mod own_user;
mod people;
mod query;
mod request_id;
mod session_entry;

pub use capacity::Capacity;
pub use endpoint::{Access, Endpoint, Traffic};
pub use error::{ApiError, ErrorCode};
pub use fields::Fields;
pub use json::{BODY_DEADLINE, Json, RequestBody};
pub use message::{Accepted, Message};
pub use messages::{MessageBody, count_fitting, cut_page, decode_cursor};
pub use own_user::OwnUser;
pub use people::PublicUser;
pub use query::{Query, is_decodable};
pub use request_id::RequestId;
pub use session_entry::SessionEntry;
