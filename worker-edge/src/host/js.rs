//! The few things of the runtime that the crate `worker` has no words for.

use js_sys::{Array, BigInt, Function, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::closure::ScopedClosure;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Headers, ReadableStream, ReadableStreamDefaultReader, Response};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = randomUUID)]
    fn random_uuid() -> String;

    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = digest, catch)]
    fn subtle_digest(algorithm: &str, data: &Uint8Array) -> Result<Promise, JsValue>;

    /// A pipe whose length is told beforehand: what is sent through it has a `content-length`.
    type FixedLengthStream;
    #[wasm_bindgen(constructor, catch)]
    fn new(length: BigInt) -> Result<FixedLengthStream, JsValue>;
    #[wasm_bindgen(method, getter)]
    fn readable(this: &FixedLengthStream) -> ReadableStream;
    #[wasm_bindgen(method, getter)]
    fn writable(this: &FixedLengthStream) -> JsValue;

    #[wasm_bindgen(js_name = fetch)]
    fn global_fetch(url: &str, init: &JsValue) -> Promise;
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(then: &Function, ms: f64) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);
    #[wasm_bindgen(js_name = Response)]
    type AnyResponse;
    #[wasm_bindgen(constructor, js_class = "Response", catch)]
    fn new(body: &JsValue, init: &JsValue) -> Result<AnyResponse, JsValue>;

    type IdentityTransformStream;
    #[wasm_bindgen(constructor, catch)]
    fn new() -> Result<IdentityTransformStream, JsValue>;
    #[wasm_bindgen(method, getter)]
    fn readable(this: &IdentityTransformStream) -> ReadableStream;
    #[wasm_bindgen(method, getter)]
    fn writable(this: &IdentityTransformStream) -> JsValue;
}

/// A random UUID.
pub fn uuid() -> String {
    random_uuid()
}

/// Milliseconds since 1970. In production the clock stands still while the isolate computes.
pub fn now() -> u64 {
    js_sys::Date::now() as u64
}

/// SHA-256, done by the runtime.
pub async fn sha256(bytes: &[u8]) -> Result<[u8; 32], JsValue> {
    let hash = JsFuture::from(subtle_digest("SHA-256", &array(bytes))?).await?;
    let mut out = [0; 32];
    Uint8Array::new(&hash).copy_to(&mut out);
    Ok(out)
}

/// What was thrown, in words.
pub fn words(thrown: &JsValue) -> String {
    match thrown.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => format!("{thrown:?}"),
    }
}

/// Why a request got no answer.
pub enum Silence {
    /// The connection, in words.
    Broken(String),
    /// It took too long to answer.
    Late,
    /// The body took too long to send.
    Slow,
    /// The body broke off, before it came here.
    Cut(String),
}

/// How long somebody is waited for, ms.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the body to be sent, where it comes from elsewhere.
    pub body: u64,
    /// For the answer to begin after that.
    pub answer: u64,
    /// For all of it, until then, ms since 1970.
    pub until: u64,
}

/// Asks somebody; `sending` is the promise of a [`Joined`] body.
pub async fn fetch(
    url: &str,
    fields: &[(&str, JsValue)],
    sending: Option<&Promise>,
    patience: Patience,
) -> Result<Response, Silence> {
    let broken = |thrown: JsValue| Silence::Broken(words(&thrown));
    let controller = AbortController::new().map_err(broken)?;
    let init = object(fields);
    set(&init, "signal", &controller.signal());
    // A redirection would leave the path that was signed, and the network that was configured.
    set(&init, "redirect", &"manual".into());
    let answer = global_fetch(url, &init);
    let mut ended = Err(Silence::Late);
    let stages = [
        sending.map(|sending| (Array::of2(&answer, sending), patience.body, Silence::Slow)),
        Some((Array::of1(&answer), patience.answer, Silence::Late)),
    ];
    for (promises, limit, silence) in stages.into_iter().flatten() {
        let limit = limit.min(patience.until.saturating_sub(now()));
        let Some(first) = within(promises, limit).await.transpose() else {
            ended = Err(silence);
            break;
        };
        match first.map(JsCast::dyn_into::<Response>) {
            Ok(Ok(response)) => return Ok(response),
            // The body is sent, or nobody takes more of it.
            Ok(Err(sent)) if sent.is_null() => {}
            Ok(Err(cut)) => {
                ended = Err(Silence::Cut(cut.as_string().unwrap_or_default()));
                break;
            }
            Err(thrown) => {
                // Whose fault it is the body says, if it is the body's.
                let cut = match sending {
                    Some(sending) => within(Array::of1(sending), SAID).await.ok().flatten(),
                    None => None,
                };
                return Err(match cut.and_then(|cut| cut.as_string()) {
                    Some(why) => Silence::Cut(why),
                    None => broken(thrown),
                });
            }
        }
    }
    controller.abort();
    ended
}

/// How long a body may take to say why it broke, ms.
const SAID: u64 = 400;

/// The first of some promises; none where all take longer than so many ms.
async fn within(promises: Array, limit: u64) -> Result<Option<JsValue>, JsValue> {
    let mut timer = JsValue::UNDEFINED;
    let late = Promise::new(&mut |resolve, _| timer = set_timeout(&resolve, limit as f64));
    promises.push(&late);
    let first = JsFuture::from(Promise::race(&promises)).await;
    clear_timeout(&timer);
    // Of all promises the timer alone gives nothing.
    first.map(|value| (!value.is_undefined()).then_some(value))
}

/// Waits, ms.
pub async fn sleep(ms: u64) {
    let slept = Promise::new(&mut |resolve, _| {
        set_timeout(&resolve, ms as f64);
    });
    // It can't be rejected.
    let _ = JsFuture::from(slept).await;
}

/// A response. Of the fields of `init`, some are the runtime's own: `webSocket`.
pub fn response(body: &JsValue, init: &JsValue) -> Result<Response, JsValue> {
    AnyResponse::new(body, init).map(JsCast::unchecked_into)
}

/// A header, where there is one.
pub fn header(headers: &Headers, name: &str) -> Option<String> {
    headers.get(name).ok().flatten()
}

/// Bytes of this module as JavaScript's.
pub fn array(bytes: &[u8]) -> Uint8Array {
    let array = Uint8Array::new_with_length(bytes.len() as u32);
    array.copy_from(bytes);
    array
}

/// All of a body.
pub async fn bytes(response: &Response) -> Result<Vec<u8>, JsValue> {
    let buffer = JsFuture::from(response.array_buffer()?).await?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

/// All of a body that is text.
pub async fn text(response: &Response) -> Result<String, JsValue> {
    let text = JsFuture::from(response.text()?).await?;
    Ok(text.as_string().unwrap_or_default())
}

/// A field of an object; undefined where there is none.
pub fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED)
}

/// Sets a field of a plain object, which can't fail.
pub fn set(object: &JsValue, name: &str, value: &JsValue) {
    let _ = Reflect::set(object, &name.into(), value);
}

/// Calls a method that gives a promise, and waits for it.
pub async fn ask(
    object: &JsValue,
    method: &str,
    arguments: &[JsValue],
) -> Result<JsValue, JsValue> {
    let promise = call(object, method, arguments)?;
    JsFuture::from(Promise::resolve(&promise)).await
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Reads a stream on until `bytes` has at least `enough`, or it ends, or so long, ms since 1970. Says whether it ended;
/// nothing, where nothing came any more: then the stream can't be used either.
pub async fn read(
    stream: &ReadableStream,
    bytes: &mut Vec<u8>,
    enough: usize,
    until: u64,
) -> Result<Option<bool>, JsValue> {
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    let ended = loop {
        let left = until.saturating_sub(now());
        if bytes.len() >= enough || left == 0 {
            break false;
        }
        let Some(result) = within(Array::of1(&reader.read()), left).await? else {
            return Ok(None);
        };
        if get(&result, "done").is_truthy() {
            break true;
        }
        let chunk: Uint8Array = get(&result, "value").dyn_into()?;
        let at = bytes.len();
        let more = chunk.length() as usize;
        // Exactly: a vector that grows by itself doubles.
        let room = bytes.try_reserve_exact(more);
        room.map_err(|_| JsValue::from("there is no memory for this body"))?;
        bytes.resize(at + more, 0);
        chunk.copy_to(&mut bytes[at..]);
    };
    reader.release_lock();
    Ok(Some(ended))
}

/// Reads up to so many bytes of a stream and forgets them.
pub async fn drain(stream: &ReadableStream, most: usize) {
    // One that was passed on is somebody else's.
    let Ok(reader) = call(stream, "getReader", &[]) else {
        return;
    };
    let reader: ReadableStreamDefaultReader = reader.unchecked_into();
    let mut read = 0;
    while read < most {
        let Ok(result) = JsFuture::from(reader.read()).await else {
            break;
        };
        match get(&result, "value").dyn_into::<Uint8Array>() {
            Ok(chunk) => read += chunk.length() as usize,
            Err(_) => break,
        }
    }
    reader.release_lock();
}

/// A body on its way.
pub struct Joined {
    /// What is to be sent.
    pub stream: ReadableStream,
    /// Null once all of it went through, or its reader wants no more; a text, why, where it broke before it came here.
    /// It is never rejected.
    pub sending: Promise,
}

/// A body of a beginning that was read already and the rest. Nothing is held but what is on its way. A length that is
/// known is told to whoever gets it.
pub fn joined(
    beginning: &[u8],
    rest: &ReadableStream,
    length: Option<u64>,
) -> Result<Joined, JsValue> {
    let (readable, writable) = match length {
        Some(length) => {
            let pipe = FixedLengthStream::new(BigInt::from(length))?;
            (pipe.readable(), pipe.writable())
        }
        None => {
            let pipe = IdentityTransformStream::new()?;
            (pipe.readable(), pipe.writable())
        }
    };
    let chunk = array(beginning);
    let rest = rest.clone();
    let sending = wasm_bindgen_futures::future_to_promise(async move {
        let passed = async {
            let writer = call(&writable, "getWriter", &[])?;
            if chunk.length() > 0 {
                ask(&writer, "write", &[chunk.into()]).await?;
            }
            call(&writer, "releaseLock", &[])?;
            let options = object(&[("preventCancel", true.into())]);
            ask(&rest, "pipeTo", &[writable, options]).await
        };
        let Err(thrown) = passed.await else {
            return Ok(JsValue::NULL);
        };
        // Whoever reads the other end hears of it too.
        worker::console_log!("a body broke: {}", words(&thrown));
        Ok(match broke(&rest).await {
            true => words(&thrown).into(),
            false => JsValue::NULL,
        })
    });
    Ok(Joined {
        stream: readable,
        sending,
    })
}

/// Whether it was a stream that broke, and not who read it. It says so only when it is read on.
async fn broke(stream: &ReadableStream) -> bool {
    let Ok(reader) = call(stream, "getReader", &[]) else {
        return false;
    };
    let Ok(next) = call(&reader, "read", &[]) else {
        return true;
    };
    let broke = within(Array::of1(&next), SAID / 2).await.is_err();
    let _ = call(&reader, "releaseLock", &[]);
    broke
}

/// A stream of what `change` makes of each piece of another, and at its end, where it is asked for the last time, of
/// nothing.
pub fn changed(
    stream: &ReadableStream,
    mut change: impl FnMut(Option<&[u8]>) -> Vec<u8> + 'static,
) -> Result<ReadableStream, JsValue> {
    let pipe = IdentityTransformStream::new()?;
    let (readable, writable) = (pipe.readable(), pipe.writable());
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    wasm_bindgen_futures::spawn_local(async move {
        let passed = async {
            let writer = call(&writable, "getWriter", &[])?;
            loop {
                let result = match JsFuture::from(reader.read()).await {
                    Ok(result) => result,
                    Err(thrown) => return ask(&writer, "abort", &[thrown]).await,
                };
                let over = get(&result, "done").is_truthy();
                let piece = match over {
                    true => change(None),
                    false => change(Some(&Uint8Array::new(&get(&result, "value")).to_vec())),
                };
                if !piece.is_empty() {
                    ask(&writer, "write", &[array(&piece).into()]).await?;
                }
                if over {
                    return ask(&writer, "close", &[]).await;
                }
            }
        };
        if passed.await.is_err() {
            // Nobody listens any more.
            let _ = ask(&reader, "cancel", &[]).await;
        }
    });
    Ok(readable)
}

/// Calls a method.
pub fn call(object: &JsValue, method: &str, arguments: &[JsValue]) -> Result<JsValue, JsValue> {
    let function: Function = Reflect::get(object, &method.into())?.dyn_into()?;
    function.apply(object, &arguments.iter().collect::<Array>())
}

/// An object of these fields.
pub fn object(fields: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new();
    for (name, value) in fields {
        set(&object, name, value);
    }
    object.into()
}

/// Does work; a panic or a trap in it unwinds to JavaScript, which was called for that, and is an error.
pub fn fenced<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let mut work = Some(work);
    let mut done = None;
    let mut call = || {
        if let Some(work) = work.take() {
            done = Some(work());
        }
    };
    let closure = ScopedClosure::<dyn FnMut()>::borrow_mut(&mut call);
    let called = closure
        .as_ref()
        .unchecked_ref::<Function>()
        .call0(&JsValue::UNDEFINED);
    drop(closure);
    match (called, done) {
        (Ok(_), Some(done)) => Ok(done),
        (Ok(_), None) => Err("it was not called".into()),
        (Err(thrown), _) => Err(words(&thrown)),
    }
}
