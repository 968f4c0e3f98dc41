//! `verbatim vapid-key`.

use super::say;
use crate::effects::push::vapid::VapidKey;

pub(super) fn run() {
    let key = VapidKey::draw();
    say(format_args!("private key (--vapid-key): {}", key.private()));
    say(format_args!("public key: {}", key.public()));
}
