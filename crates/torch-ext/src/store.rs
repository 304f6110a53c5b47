//! Keys and values that several processes share.

use std::ffi::{CString, c_char, c_int};
use std::ptr::NonNull;
use std::time::Duration;

use crate::error::{TorchExtError, c_string};

/// The C++ side's store.
#[repr(C)]
pub(crate) struct RawStore {
    _private: [u8; 0],
}

unsafe extern "C" {
    fn torch_ext_store_connect(
        host: *const c_char,
        port: u16,
        is_server: bool,
        prefix: *const c_char,
        timeout_ms: i64,
        error: *mut *mut c_char,
    ) -> *mut RawStore;
    fn torch_ext_store_free(store: *mut RawStore);
    fn torch_ext_store_set(
        store: *mut RawStore,
        key: *const c_char,
        data: *const u8,
        length: usize,
        error: *mut *mut c_char,
    ) -> bool;
    fn torch_ext_store_has(
        store: *mut RawStore,
        keys: *const *const c_char,
        count: usize,
        error: *mut *mut c_char,
    ) -> c_int;
    fn torch_ext_store_get(
        store: *mut RawStore,
        keys: *const *const c_char,
        count: usize,
        lengths: *mut usize,
        error: *mut *mut c_char,
    ) -> *mut u8;
}

/// A connection to c10d's TCPStore. One process holds the keys and values, in a thread of its own.
///
/// One operation at a time uses the connection; while the process that holds the store stands still, an operation does
/// not return.
#[derive(Debug)]
pub struct TcpStore {
    raw: NonNull<RawStore>,
}

// SAFETY: the C++ object locks each operation.
unsafe impl Send for TcpStore {}
// SAFETY: as above.
unsafe impl Sync for TcpStore {}

impl TcpStore {
    /// Connects to the store at `host:port`, trying again until `timeout`. If `is_server`, this process holds it. Each key
    /// of this connection begins with `prefix`.
    ///
    /// # Errors
    /// No store there in that time; for the server, a port that is in use.
    pub fn connect(
        host: &str,
        port: u16,
        is_server: bool,
        prefix: &str,
        timeout: Duration,
    ) -> Result<Self, TorchExtError> {
        let (host, prefix) = (c_string(host)?, c_string(prefix)?);
        let timeout = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        // SAFETY: the strings outlive the call.
        let raw = TorchExtError::catch(|error| unsafe {
            torch_ext_store_connect(host.as_ptr(), port, is_server, prefix.as_ptr(), timeout, error)
        })?;
        NonNull::new(raw).map(|raw| Self { raw }).ok_or_else(|| TorchExtError("no store".to_owned()))
    }

    pub(crate) fn raw(&self) -> *mut RawStore {
        self.raw.as_ptr()
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn set(&self, key: &str, value: &[u8]) -> Result<(), TorchExtError> {
        let key = c_string(key)?;
        // SAFETY: key and value outlive the call.
        TorchExtError::catch(|error| unsafe {
            torch_ext_store_set(self.raw(), key.as_ptr(), value.as_ptr(), value.len(), error)
        })?;
        Ok(())
    }

    /// Whether every key has a value.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn has(&self, keys: &[String]) -> Result<bool, TorchExtError> {
        let keys = Keys::new(keys)?;
        // SAFETY: the keys outlive the call.
        let found = TorchExtError::catch(|error| unsafe {
            torch_ext_store_has(self.raw(), keys.pointers.as_ptr(), keys.pointers.len(), error)
        })?;
        Ok(found == 1)
    }

    /// The values of keys that are known to have one; of others it waits for them.
    ///
    /// # Errors
    /// The connection is lost; a key without a value when the time given to [`connect`](Self::connect) is over.
    pub fn get(&self, keys: &[String]) -> Result<Vec<Vec<u8>>, TorchExtError> {
        let keys = Keys::new(keys)?;
        let mut lengths = vec![0; keys.pointers.len()];
        // SAFETY: the keys outlive the call, and there is a length for each.
        let bytes = TorchExtError::catch(|error| unsafe {
            torch_ext_store_get(self.raw(), keys.pointers.as_ptr(), lengths.len(), lengths.as_mut_ptr(), error)
        })?;
        let mut start = 0;
        let values = lengths.iter().map(|&length| {
            // SAFETY: the values lie one after another, with these lengths.
            let value = unsafe { std::slice::from_raw_parts(bytes.add(start), length) }.to_vec();
            start += length;
            value
        });
        let values = values.collect();
        // SAFETY: `malloc` has made it for the caller, and the values are copies.
        unsafe { libc::free(bytes.cast()) };
        Ok(values)
    }
}

impl Drop for TcpStore {
    fn drop(&mut self) {
        // SAFETY: it was made by `connect`, and nothing uses it any more.
        unsafe { torch_ext_store_free(self.raw()) }
    }
}

/// C strings and the pointers to them.
struct Keys {
    _strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Keys {
    fn new(keys: &[String]) -> Result<Self, TorchExtError> {
        let strings = keys.iter().map(|key| c_string(key)).collect::<Result<Vec<_>, _>>()?;
        let pointers = strings.iter().map(|key| key.as_ptr()).collect();
        Ok(Self { _strings: strings, pointers })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A store on a port that the system has chosen, and another connection to it.
    pub(crate) fn two_connections() -> [TcpStore; 2] {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        [true, false].map(|serves| TcpStore::connect("127.0.0.1", port, serves, "test", PATIENCE).unwrap())
    }

    #[test]
    fn what_one_connection_sets_the_other_gets() {
        let [server, client] = two_connections();
        let keys = ["a", "b"].map(str::to_owned);
        assert!(!client.has(&keys).unwrap());
        server.set("a", b"one").unwrap();
        assert!(!client.has(&keys).unwrap());
        client.set("b", &[]).unwrap();
        assert!(server.has(&keys).unwrap());
        assert_eq!(client.get(&keys).unwrap(), [b"one".to_vec(), Vec::new()]);
        server.set("a", &[0, 255]).unwrap();
        assert_eq!(client.get(&keys[..1]).unwrap(), [[0, 255]]);
    }

    #[test]
    fn failures_are_messages() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let error = TcpStore::connect("127.0.0.1", port, false, "", Duration::from_millis(300)).unwrap_err();
        assert!(!error.to_string().is_empty() && !error.to_string().contains("frame #"), "{error}");
        let busy = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let error = TcpStore::connect("127.0.0.1", busy.local_addr().unwrap().port(), true, "", PATIENCE).unwrap_err();
        assert!(error.to_string().to_lowercase().contains("address already in use"), "{error}");
        assert!(TcpStore::connect("a\0b", 1, false, "", PATIENCE).unwrap_err().to_string().contains("zero byte"));
    }
}
