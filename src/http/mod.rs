//! What every service needs to speak HTTP: the error envelope, checked bodies and queries, what it
//! knows of waiting and of answers that a client has, pages, the table of endpoints, and the schemas of the value types.

mod capacity;
mod deadline;
mod endpoint;
mod entity_tag;
mod error;
mod fields;
mod json;
mod message;
mod messages;
mod own_user;
mod page;
mod paging;
mod people;
mod preference;
mod query;
mod request_id;
mod schemas;
mod session_entry;
mod surrogates;

pub use capacity::Capacity;
pub use deadline::Deadline;
pub use endpoint::{Access, Endpoint, Traffic, read_guard};
pub use entity_tag::{KnownTags, Tagged};
pub use error::{ApiError, ErrorCode, LimitReached, UnreadAnswers};
pub use fields::Fields;
pub use json::{BODY_DEADLINE, Json, RequestBody};
pub use message::{Accepted, Message};
pub use messages::MessageBody;
pub use own_user::OwnUser;
pub use page::Page;
pub use paging::{MAX_PAGE_ENTRIES, Room, cut_page, decode_cursor, fill_page, limit_parameter, take_limit};
pub use people::{OnlineStatus, PublicUser};
pub use preference::Wait;
pub use query::{Query, is_decodable};
pub use request_id::RequestId;
pub use schemas::{at_most, optional, reference, text_schema};
pub use session_entry::SessionEntry;
