//! What a broker sends: the packets of MQTT 3.1.1 as palmd's client reads them, one after the other, with palmd's limit.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use rumqttc::mqttbytes::v4::Packet;

const MOST_INCOMING: usize = 64 * 1024;

fuzz_target!(|data: &[u8]| {
    let mut stream = BytesMut::from(data);
    while Packet::read(&mut stream, MOST_INCOMING).is_ok() {}
});
