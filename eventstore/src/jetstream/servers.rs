//! Which NATS servers there are, and who connects to them: parsed from what people write, and connected to
//! with errors that they can read.
//!
//! What the URLs say of users, passwords and tokens is taken out of them at once. So neither the client
//! library, which logs addresses, nor anything here can show it.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, ServerAddr, rustls};
use percent_encoding::percent_decode_str;
use tokio::time::timeout;

/// How long all servers together may take to be connected to.
const PATIENCE: Duration = Duration::from_secs(8);

/// NATS servers, and as whom one connects to all of them.
#[derive(Clone)]
pub struct Servers {
    addresses: Vec<ServerAddr>,
    login: Option<Login>,
}

/// As whom one connects.
#[derive(Clone, PartialEq, Eq)]
enum Login {
    User { name: String, password: String },
    Token(String),
}

/// Why a text names no NATS servers. The text may hold passwords and is not repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServersError {
    /// Nothing, or nothing between two commas.
    #[error("NATS server {number} of {of} is empty: each is named as nats://host:4222 or tls://host:4222")]
    Empty {
        /// Which of them, counted from 1.
        number: usize,
        /// How many there are.
        of: usize,
    },
    /// One is no address of a NATS server.
    #[error("NATS server {number} of {of} is no URL such as nats://host:4222 or tls://host:4222: {reason}")]
    Url {
        /// Which of them, counted from 1.
        number: usize,
        /// How many there are.
        of: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Nodes connect as one.
    #[error(
        "NATS server {number} of {of} has a user, password or token that the first has not: those of the first are \
         used for all"
    )]
    Differs {
        /// Which of them, counted from 1.
        number: usize,
        /// How many there are.
        of: usize,
    },
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no connection to NATS at {servers}: {reason}")]
pub struct Unreachable {
    /// The servers, without what their URLs say of users.
    pub servers: String,
    /// Why the last of them was not connected to.
    pub reason: String,
}

impl Servers {
    /// Whether the URLs themselves say as whom one connects.
    #[must_use]
    pub const fn have_login(&self) -> bool {
        self.login.is_some()
    }

    /// Connects to one of them. TLS is required of all when one of the URLs says so: servers that are heard
    /// of later come without a scheme.
    ///
    /// # Errors
    /// [`Unreachable`] within ten seconds.
    pub async fn connect(&self, mut options: ConnectOptions) -> Result<Client, Unreachable> {
        options = match self.login.clone() {
            None => options,
            Some(Login::User { name, password }) => options.user_and_password(name, password),
            Some(Login::Token(token)) => options.token(token),
        };
        if self.addresses.iter().any(ServerAddr::tls_required) {
            options = options.require_tls(true);
        }
        let reason = match timeout(PATIENCE, options.connect(self.addresses.as_slice())).await {
            Ok(Ok(client)) => return Ok(client),
            Ok(Err(error)) => reason(&error),
            Err(_) => "no answer in time".to_owned(),
        };
        Err(Unreachable {
            servers: self.to_string(),
            reason,
        })
    }
}

/// What a person can do something about.
fn reason(error: &ConnectError) -> String {
    let mut causes = std::iter::successors(error.source(), |cause| deeper(*cause));
    if let Some(tls) = causes.find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        return match tls {
            rustls::Error::InvalidMessage(_) => {
                "TLS is asked for, and the server does not speak it".to_owned()
            }
            tls => format!("TLS failed: {tls}"),
        };
    }
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation => {
            "the server refuses the user, password, token or credentials, or wants some and was given none"
                .to_owned()
        }
        ConnectErrorKind::Authentication => "the credentials file cannot be used to sign in".to_owned(),
        ConnectErrorKind::TimedOut => "no answer in time".to_owned(),
        ConnectErrorKind::Tls => format!("TLS failed: {}", last_cause(error)),
        ConnectErrorKind::Dns => format!("the name cannot be resolved: {}", last_cause(error)),
        ConnectErrorKind::ServerParse | ConnectErrorKind::Io | ConnectErrorKind::MaxReconnects => {
            last_cause(error)
        }
    }
}

/// The cause of an error. One within an I/O error is its source only from the second on.
fn deeper<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref()) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

fn last_cause(error: &ConnectError) -> String {
    std::iter::successors(error.source(), |cause| deeper(*cause))
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

impl FromStr for Servers {
    type Err = ServersError;

    fn from_str(text: &str) -> Result<Self, ServersError> {
        let (mut addresses, mut login) = (Vec::new(), None);
        let of = text.split(',').count();
        for (index, url) in text.split(',').map(str::trim).enumerate() {
            let number = index + 1;
            if url.is_empty() {
                return Err(ServersError::Empty { number, of });
            }
            let (address, its) = parse(url).map_err(|reason| ServersError::Url { number, of, reason })?;
            if number == 1 {
                login = its;
            } else if its.is_some() && its != login {
                return Err(ServersError::Differs { number, of });
            }
            addresses.push(address);
        }
        Ok(Self { addresses, login })
    }
}

/// An address without what it said of a user, and that by itself.
fn parse(url: &str) -> Result<(ServerAddr, Option<Login>), String> {
    let address: ServerAddr = url.parse().map_err(|error: std::io::Error| error.to_string())?;
    if !matches!(address.scheme(), "nats" | "tls") {
        return Err(format!("its scheme is {}", address.scheme()));
    }
    if address.host().is_empty() {
        return Err("it names no host".to_owned());
    }
    let decoded = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8();
        let wrong = |_| "the user or password is not UTF-8 when its %-escapes are decoded".to_owned();
        decoded.map(std::borrow::Cow::into_owned).map_err(wrong)
    };
    let login = match (address.username(), address.password()) {
        (None, None) => None,
        (Some(token), None) => Some(Login::Token(decoded(token)?)),
        (name, Some(password)) => Some(Login::User {
            name: decoded(name.unwrap_or_default())?,
            password: decoded(password)?,
        }),
    };
    let mut url = address.into_inner();
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(
            "it has more than a host and a port (in a user or password, write / ? # and , as %2F %3F %23 and %2C)"
                .to_owned(),
        );
    }
    // Only URLs without a host refuse this.
    let stripped = url.set_password(None).and_then(|()| url.set_username(""));
    stripped.map_err(|()| "it names no host".to_owned())?;
    let address = ServerAddr::from_url(url).map_err(|error| error.to_string())?;
    Ok((address, login))
}

/// Hosts and ports, separated by commas.
impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, address) in self.addresses.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let (host, port) = (address.host(), address.port());
            if host.contains(':') {
                write!(f, "{separator}[{host}]:{port}")?;
            } else {
                write!(f, "{separator}{host}:{port}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Servers({self})")
    }
}

#[cfg(test)]
mod tests;
