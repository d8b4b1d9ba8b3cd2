//! Calls that return the raw bytes of a response, for responses that contain lists.
//!
//! A generated decoder creates an object of several hundred bytes for every two bytes that encode an empty list
//! element: a response of 32 MiB grew to more than 2 GB. Parsing with [`mc_ir::protobuf`] needs no memory beyond the
//! bytes of the response.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::Buf as _;
use tonic::client::Grpc as Caller;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status};

use crate::transports::grpc::call_log::LoggedChannel;

/// A method, by its path: `/package.Service/Method`.
pub(crate) struct Method {
    /// The path.
    pub(crate) path: &'static str,
    /// Limit on the size of a response message.
    pub(crate) limit: usize,
}

impl Method {
    /// Calls a method that returns one message.
    pub(crate) async fn call<T: Message + 'static>(
        &self,
        channel: LoggedChannel,
        request: Request<T>,
    ) -> Result<Vec<u8>, Status> {
        let mut caller = self.caller(channel).await?;
        let answer = caller.unary(request, PathAndQuery::from_static(self.path), Raw::default()).await?;
        Ok(answer.into_inner())
    }

    /// Calls a method that returns a stream of messages.
    pub(crate) async fn stream<T: Message + 'static>(
        &self,
        channel: LoggedChannel,
        request: Request<T>,
    ) -> Result<Streaming<Vec<u8>>, Status> {
        let mut caller = self.caller(channel).await?;
        let path = PathAndQuery::from_static(self.path);
        let answer = caller.server_streaming(request, path, Raw::default()).await?;
        Ok(answer.into_inner())
    }

    async fn caller(&self, channel: LoggedChannel) -> Result<Caller<LoggedChannel>, Status> {
        let mut caller = Caller::new(channel).max_decoding_message_size(self.limit);
        caller.ready().await.map_err(|error| Status::from_error(error.into()))?;
        Ok(caller)
    }
}

/// Codec whose requests are messages and whose responses are bytes.
struct Raw<T>(PhantomData<T>);

impl<T> Default for Raw<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message + 'static> Codec for Raw<T> {
    type Encode = T;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Bytes;

    fn encoder(&mut self) -> Self {
        Self::default()
    }

    fn decoder(&mut self) -> Bytes {
        Bytes
    }
}

impl<T: Message> Encoder for Raw<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

struct Bytes;

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}
