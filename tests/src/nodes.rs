//! Two places to go to: the nodes of a cluster, or twice the one node of an embedded deployment.

use crate::TestServer;
use crate::deployment::is_cluster;

/// The nodes of a deployment. They end with this value.
pub struct Nodes {
    one: TestServer,
    other: Option<TestServer>,
}

impl Nodes {
    /// Two nodes of a new cluster, or one embedded node, ready.
    pub async fn start() -> Self {
        let one = TestServer::start().await;
        let other = if is_cluster() {
            Some(one.another().await)
        } else {
            None
        };
        Self { one, other }
    }

    /// The one.
    #[must_use]
    pub const fn one(&self) -> &TestServer {
        &self.one
    }

    /// The other; the same again if there is none.
    #[must_use]
    pub fn other(&self) -> &TestServer {
        self.other.as_ref().unwrap_or(&self.one)
    }

    /// Both, or twice the only one.
    #[must_use]
    pub fn both(&self) -> [&TestServer; 2] {
        [self.one(), self.other()]
    }
}
