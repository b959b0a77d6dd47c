//! The protocol's HTTP server: each connection on a thread of its own, and what it asks handed to the app.

use std::convert::Infallible;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use async_io::{Async, Timer};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::server::conn::http1;
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};
use smol_hyper::rt::{FuturesIo, SmolTimer};

use super::questions::{INTERNAL_ERROR, INVALID_REQUEST, PARSE_ERROR, Refusal};

/// A question is no longer than this, in bytes.
const LONGEST: usize = 64 * 1024;
/// So many ask at the same time.
const MOST: u32 = 8;
/// A connection lasts so long at most.
const VISIT: Duration = Duration::from_secs(60);
/// An app that does not answer within this has ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// A question that waits for its answer.
pub(super) struct Asked {
    method: String,
    params: Value,
    reply: Sender<Result<Value, Refusal>>,
}

impl Asked {
    pub(super) fn answer(self, by: impl FnOnce(&str, Value) -> Result<Value, Refusal>) {
        // Who asked may have gone.
        let _ = self.reply.send(by(&self.method, self.params));
    }
}

/// Answers at `listener` until the program ends.
pub(super) fn start(listener: TcpListener) -> std::io::Result<Receiver<Asked>> {
    let (questions, asked) = channel();
    let serve = move || {
        let busy = Arc::new(AtomicU32::new(0));
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                // Too many open files, say.
                std::thread::sleep(Duration::from_millis(100));
                continue;
            };
            if busy.fetch_add(1, Ordering::Relaxed) >= MOST {
                busy.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let (one, questions) = (busy.clone(), questions.clone());
            let connection = move || {
                if let Err(error) = connection(stream, &questions) {
                    tracing::debug!("--inspect: {error}");
                }
                one.fetch_sub(1, Ordering::Relaxed);
            };
            if std::thread::Builder::new().name("hz-inspect".into()).spawn(connection).is_err() {
                busy.fetch_sub(1, Ordering::Relaxed);
            }
        }
    };
    std::thread::Builder::new().name("hz-inspect".into()).spawn(serve)?;
    Ok(asked)
}

fn connection(stream: TcpStream, questions: &Sender<Asked>) -> Result<(), Box<dyn std::error::Error>> {
    let stream = FuturesIo::new(Async::new(stream)?);
    let service = hyper::service::service_fn(|request| async {
        let (status, body) = respond(request, questions).await;
        let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
        Ok::<_, Infallible>(response)
    });
    let visit =
        async { Ok(http1::Builder::new().timer(SmolTimer::new()).serve_connection(stream, service).await?) };
    // Who says nothing more keeps nobody else out.
    let end = async {
        Timer::after(VISIT).await;
        Ok(())
    };
    async_io::block_on(futures_lite::future::or(visit, end))
}

async fn respond(request: Request<Incoming>, questions: &Sender<Asked>) -> (StatusCode, Value) {
    // A page in a browser can have its own name point to this machine, and would then be let read what it asked for.
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    if !matches!(host, "127.0.0.1" | "localhost") {
        let refusal = Refusal::new(INVALID_REQUEST, "ask for 127.0.0.1");
        return (StatusCode::FORBIDDEN, reply(&Value::Null, Err(refusal)));
    }
    let body = match Limited::new(request.into_body(), LONGEST).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            return (StatusCode::OK, reply(&Value::Null, Err(Refusal::new(PARSE_ERROR, error.to_string()))));
        }
    };
    let answer = match serde_json::from_slice(&body) {
        Ok(Value::Array(batch)) => batch.iter().map(|one| ask(one, questions)).collect(),
        Ok(one) => ask(&one, questions),
        Err(error) => reply(&Value::Null, Err(Refusal::new(PARSE_ERROR, error.to_string()))),
    };
    (StatusCode::OK, answer)
}

/// One request as JSON-RPC 2.0 §4 has it, to its response.
fn ask(request: &Value, questions: &Sender<Asked>) -> Value {
    let part = |name| request.get(name).cloned().unwrap_or_default();
    let (id, params) = (part("id"), part("params"));
    let method = request.get("method").and_then(Value::as_str);
    let Some(method) = method.filter(|_| part("jsonrpc") == "2.0") else {
        return reply(&id, Err(Refusal::new(INVALID_REQUEST, "no JSON-RPC 2.0 request with a method")));
    };
    let (reply_to, answers) = channel();
    let asked = Asked { method: method.to_owned(), params, reply: reply_to };
    let gone = || Refusal::new(INTERNAL_ERROR, "the call has ended");
    let answer = questions
        .send(asked)
        .map_err(|_| gone())
        .and_then(|()| answers.recv_timeout(PATIENCE).map_err(|_| gone()).and_then(|answer| answer));
    reply(&id, answer)
}

fn reply(id: &Value, answer: Result<Value, Refusal>) -> Value {
    match answer {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(Refusal { code, message }) => {
            json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
        }
    }
}
