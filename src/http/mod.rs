//! What every service needs to speak HTTP: the error envelope, checked bodies and queries, and the table of endpoints.

mod capacity;
mod endpoint;
mod error;
mod fields;
mod json;
mod message;
mod own_user;
mod query;

pub use capacity::Capacity;
pub use endpoint::{Access, Endpoint};
pub use error::{ApiError, ErrorCode};
pub use fields::Fields;
pub use json::{BODY_DEADLINE, Json, RequestBody};
pub use message::Message;
pub use own_user::OwnUser;
pub use query::{Query, is_decodable};
