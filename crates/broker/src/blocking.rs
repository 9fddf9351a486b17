//! Work that blocks, on a thread that may.

/// The runtime ended before the work began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the runtime is shutting down")]
pub(crate) struct Stopped;

/// Runs `work` on a thread that may block. A panic in it goes on in the caller.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Stopped> {
    tokio::task::spawn_blocking(work).await.map_err(|ended| match ended.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_cancelled) => Stopped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_goes_on_in_the_caller() {
        assert_eq!(blocking(|| 7).await, Ok(7));
        let ended = tokio::spawn(blocking(|| panic!("inside"))).await.unwrap_err();
        assert_eq!(ended.into_panic().downcast_ref::<&str>(), Some(&"inside"));
    }

    #[test]
    fn work_that_a_stopped_runtime_never_began_is_an_error_and_no_panic() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let handle = runtime.handle().clone();
        drop(runtime);
        assert_eq!(handle.block_on(blocking(|| 7)), Err(Stopped));
    }
}
