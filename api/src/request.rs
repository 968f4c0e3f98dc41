//! What every request has: an id, in its answer and in what is logged about it, and a place to note where
//! its user stands.

use std::cell::Cell;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;
use ulid::Ulid;

use crate::limits::Standing;

/// The id of a request.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken over from a client.
const MAX_ID_BYTES: usize = 128;

struct Context {
    id: HeaderValue,
    standing: Cell<Option<Standing>>,
}

tokio::task_local! {
    /// The request that is being answered.
    static CURRENT: Context;
}

/// The id of the request that is being answered; none on a socket.
#[must_use]
pub fn current_id() -> Option<String> {
    let id = CURRENT.try_with(|current| current.id.to_str().map(str::to_owned).ok());
    id.ok().flatten()
}

/// Notes where the user stands, for the headers of the answer.
pub fn note(standing: Standing) {
    // What is not asked over HTTP has no headers.
    let _ = CURRENT.try_with(|current| current.standing.set(Some(standing)));
}

/// Gives a request its id: the client's, if it is sane, or a new one.
pub async fn identify(mut request: Request, next: Next) -> Response {
    let headers = request.headers_mut();
    let id = match sane_id(headers) {
        Some(id) => id,
        None => {
            // What is not taken over is not recorded either.
            headers.remove(X_REQUEST_ID);
            let id = Ulid::generate().to_string();
            HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static("-"))
        }
    };
    let span = tracing::info_span!("request", request.id = id.to_str().unwrap_or_default());
    let current = Context {
        id: id.clone(),
        standing: Cell::default(),
    };
    let answered = async move {
        let mut response = next.run(request).await;
        let standing = CURRENT.with(|current| current.standing.get());
        if let Some(standing) = standing {
            standing.write_to(response.headers_mut());
        }
        response.headers_mut().insert(X_REQUEST_ID, id);
        response
    };
    CURRENT.scope(current, answered.instrument(span)).await
}

/// The one id of the client that can stand in a log line as it is.
fn sane_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut ids = headers.get_all(X_REQUEST_ID).iter();
    let id = ids.next().filter(|_| ids.next().is_none())?;
    let is_sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@#".contains(byte);
    let bytes = id.as_bytes();
    let fits = (1..=MAX_ID_BYTES).contains(&bytes.len());
    (fits && bytes.iter().all(is_sane)).then(|| id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_short_and_plain_and_the_only_one() {
        let sane = |ids: &[&str]| {
            let pairs = ids
                .iter()
                .map(|id| (X_REQUEST_ID, HeaderValue::from_bytes(id.as_bytes()).unwrap()));
            sane_id(&HeaderMap::from_iter(pairs)).is_some()
        };
        assert!(sane(&["0af7651916cd43dd8448eb211c80319c"]) && sane(&["a/b:c.d-e_f+g=@#"]));
        assert!(sane(&[&"x".repeat(128)]));
        for bad in [&[][..], &[""], &["a b"], &["a\"b"], &["é"], &[&"x".repeat(129)]] {
            assert!(!sane(bad), "{bad:?}");
        }
        let mut two = HeaderMap::new();
        two.append(X_REQUEST_ID, HeaderValue::from_static("a"));
        two.append(X_REQUEST_ID, HeaderValue::from_static("b"));
        assert_eq!(sane_id(&two), None);
    }
}
