use std::sync::Arc;

use async_trait::async_trait;
use http::Uri;
use http::uri::PathAndQuery;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::{ClientOptions, Result};

use crate::server_encryption::ServerEncryption;

/// Adds headers to requests for objects.
///
/// `object_store` sends requests for tokens through the same connector. The key of a customer must
/// not go there.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    endpoint: Uri,
    encryption: ServerEncryption,
}

impl Connector {
    pub(crate) fn new(endpoint: Uri, encryption: ServerEncryption) -> Self {
        Self {
            shared: Arc::new(Shared {
                endpoint,
                encryption,
            }),
        }
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> Result<HttpClient> {
        Ok(HttpClient::new(Service {
            client: ReqwestConnector::default().connect(options)?,
            shared: Arc::clone(&self.shared),
        }))
    }
}

#[derive(Debug)]
struct Service {
    client: HttpClient,
    shared: Arc<Shared>,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if is_for_object(request.uri(), &self.shared.endpoint) {
            self.shared.encryption.add_to(&mut request);
        }
        self.client.execute(request).await
    }
}

/// Whether the path is a bucket and an object of this endpoint.
fn is_for_object(uri: &Uri, endpoint: &Uri) -> bool {
    let same_host = uri.scheme() == endpoint.scheme() && uri.authority() == endpoint.authority();
    let base = endpoint.path_and_query().map_or("", PathAndQuery::path);
    let path = uri.path().strip_prefix(base.trim_end_matches('/'));
    let mut segments = path.unwrap_or_default().split('/');
    // Slashes in the name of an object are encoded.
    same_host
        && segments.next() == Some("")
        && segments.next().is_some_and(|bucket| !bucket.is_empty())
        && segments.next().is_some_and(|object| !object.is_empty())
        && segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_objects_of_the_endpoint_are_objects() {
        let is_object = |uri: &'static str, endpoint: &'static str| {
            is_for_object(&Uri::from_static(uri), &Uri::from_static(endpoint))
        };
        let google = "https://storage.googleapis.com";
        assert!(is_object("https://storage.googleapis.com/b/o", google));
        assert!(is_object(
            "https://storage.googleapis.com/b/o%2Fp?uploads=",
            google
        ));
        for other in [
            "https://storage.googleapis.com/b?list-type=2",
            "https://storage.googleapis.com/b/",
            "https://storage.googleapis.com//o",
            "https://storage.googleapis.com/computeMetadata/v1/token",
            "https://oauth2.googleapis.com/b/o",
            "https://storage.googleapis.com.example/b/o",
            "https://storage.googleapis.com:444/b/o",
            "https://user@storage.googleapis.com/b/o",
            "http://storage.googleapis.com/b/o",
        ] {
            assert!(!is_object(other, google), "{other}");
        }
        let below = "https://proxy/gcs";
        assert!(is_object("https://proxy/gcs/b/o", below));
        assert!(!is_object("https://proxy/b/o", below));
        assert!(!is_object("https://proxy/gcsb/o/p", below));
    }
}
