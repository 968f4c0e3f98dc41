//! Where a user's devices are notified. It is recorded in the user's own stream, and nobody else is told.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::push::{PushEndpoint, PushPoint, PushSecret, PushTarget};
use domain::user::Command;
use domain::{PushId, Timestamp};
use eventstore::Stream;
use eventstore::execute::{Outcome, Request};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{tag, trace};
use crate::app::{App, now};
use crate::auth::Identity;
use crate::consistency::{At, Reader};
use crate::effects::push::Push;
use crate::error::ApiError;
use crate::extract::{Json, idempotency_key};
use crate::openapi::values;
use crate::wire::Time;

/// A device, as a browser's `PushSubscription` is in JSON. What else is in that is passed over.
#[derive(Deserialize, ToSchema)]
pub struct Subscribe {
    #[schema(value_type = values::SecureUrl)]
    endpoint: String,
    keys: Keys,
}

/// What is sealed for a device.
#[derive(Deserialize, ToSchema)]
struct Keys {
    /// A point of P-256.
    #[schema(value_type = values::Base64)]
    p256dh: String,
    /// 16 bytes.
    #[schema(value_type = values::Base64)]
    auth: String,
}

/// A device that is notified. Its keys are told nobody.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    #[schema(value_type = values::SubscriptionId)]
    id: PushId,
    endpoint: String,
    created_at: Time,
}

/// Devices that are notified.
#[derive(Serialize, ToSchema)]
pub struct Subscriptions {
    data: Vec<Subscription>,
}

/// The key that browsers subscribe with.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublicKey {
    #[schema(value_type = values::Base64)]
    public_key: String,
}

/// `GET /push/public-key`: the `applicationServerKey` of a browser's subscription.
///
/// # Errors
/// 404 when the server sends no push.
#[utoipa::path(
    get, path = "/push/public-key", operation_id = "getPushKey", tag = "Users",
    responses((status = 200, description = "The key", body = PublicKey)),
    extensions(("x-refusals" = json!(["404 push_not_configured"])))
)]
pub async fn public_key(State(app): State<Arc<App>>, _: Reader) -> Result<axum::Json<PublicKey>, ApiError> {
    Ok(axum::Json(PublicKey {
        public_key: offered(&app)?.public_key(),
    }))
}

/// `POST /users/me/push-subscriptions`: 201, or 200 when the device was subscribed like this before.
///
/// # Errors
/// 404 when the server sends no push, and 422 for what is no subscription, and for one too many.
#[utoipa::path(
    post, path = "/users/me/push-subscriptions", operation_id = "subscribe", tag = "Users",
    request_body = Subscribe,
    responses(
        (status = 201, description = "The device is notified from now on", body = Subscription),
        (status = 200, description = "It was subscribed like this before", body = Subscription),
    ),
    extensions(("x-refusals" = json!([
        "404 push_not_configured", "422 too_many_subscriptions", "422 idempotency_key_reused"
    ])))
)]
pub async fn subscribe(
    State(app): State<Arc<App>>,
    identity: Identity,
    headers: HeaderMap,
    Json(body): Json<Subscribe>,
) -> Result<Response, ApiError> {
    let push = offered(&app)?;
    // Some libraries fill base64 up.
    let unpadded = |text: String| text.trim_end_matches('=').to_owned();
    let target = PushTarget {
        endpoint: PushEndpoint::parse(body.endpoint).map_err(|error| ApiError::invalid_field(&error))?,
        p256dh: PushPoint::parse(unpadded(body.keys.p256dh))
            .map_err(|error| ApiError::invalid_field(&error))?,
        auth: PushSecret::parse(unpadded(body.keys.auth)).map_err(|error| ApiError::invalid_field(&error))?,
    };
    push.check(&target)
        .map_err(|error| ApiError::invalid_field(&error))?;
    let endpoint = target.endpoint.as_str().to_owned();
    let id = PushId::of(&identity.tenant, &identity.user, &endpoint);
    let stream = Stream::User(identity.tenant.clone(), identity.user.clone());
    let key = idempotency_key(&headers)?;
    let payload = [
        endpoint.as_bytes(),
        target.p256dh.as_str().as_bytes(),
        target.auth.as_str().as_bytes(),
    ];
    let request = Request {
        tag: tag(&identity, "subscribe", &stream, key.as_ref(), &payload),
        command: Command::Subscribe(id, target.clone()),
        actor: Some(identity.user.clone()),
        trace: trace(&headers),
    };
    let outcome = app.users.execute(&stream, request).await?;
    let position = outcome.position();
    app.consistency.wrote(&identity, position);
    let (status, created_at) = match outcome {
        Outcome::Appended { time, .. } => (StatusCode::CREATED, time),
        Outcome::Repeated { .. } => (StatusCode::CREATED, subscribed_at(&app, &identity, id).await?),
        Outcome::Unchanged { .. } => (StatusCode::OK, subscribed_at(&app, &identity, id).await?),
    };
    app.consistency.settle(&headers, position).await;
    let subscription = Subscription {
        id,
        endpoint,
        created_at: Time(created_at),
    };
    Ok(At(position, (status, axum::Json(subscription))).into_response())
}

/// Since when a device is subscribed, as far as the read models know.
async fn subscribed_at(app: &App, identity: &Identity, id: PushId) -> Result<Timestamp, ApiError> {
    let users = std::slice::from_ref(&identity.user);
    let devices = app.read_model.push_subscriptions(&identity.tenant, users).await?;
    let device = devices.into_iter().find(|device| device.id == id);
    Ok(device.map_or_else(now, |device| device.created_at))
}

/// `GET /users/me/push-subscriptions`: the devices at which who asks is notified, the oldest first.
///
/// # Errors
/// 503 when the read models are away.
#[utoipa::path(
    get, path = "/users/me/push-subscriptions", operation_id = "listSubscriptions", tag = "Users",
    responses((status = 200, description = "The devices", body = Subscriptions))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Reader(identity): Reader,
) -> Result<axum::Json<Subscriptions>, ApiError> {
    let users = std::slice::from_ref(&identity.user);
    let devices = app.read_model.push_subscriptions(&identity.tenant, users).await?;
    let data = devices.into_iter().map(|device| Subscription {
        id: device.id,
        endpoint: device.target.endpoint.into(),
        created_at: Time(device.created_at),
    });
    Ok(axum::Json(Subscriptions { data: data.collect() }))
}

/// `DELETE /users/me/push-subscriptions/{id}`: that it is not there is fine.
///
/// # Errors
/// 503 when the log is away.
#[utoipa::path(
    delete, path = "/users/me/push-subscriptions/{id}", operation_id = "unsubscribe", tag = "Users",
    params(("id" = values::SubscriptionId, Path)),
    responses((status = 204, description = "The device is not notified any more")),
    extensions(("x-refusals" = json!(["404 path_not_found"])))
)]
pub async fn unsubscribe(
    State(app): State<Arc<App>>,
    identity: Identity,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = id.parse::<PushId>().map_err(|_| ApiError::no_such_path())?;
    let stream = Stream::User(identity.tenant.clone(), identity.user.clone());
    let request = Request {
        command: Command::Unsubscribe(id),
        actor: Some(identity.user.clone()),
        tag: None,
        trace: trace(&headers),
    };
    let position = app.users.execute(&stream, request).await?.position();
    app.consistency.wrote(&identity, position);
    app.consistency.settle(&headers, position).await;
    Ok(At(position, StatusCode::NO_CONTENT).into_response())
}

fn offered(app: &App) -> Result<&Push, ApiError> {
    app.push.as_deref().ok_or_else(ApiError::no_push)
}
