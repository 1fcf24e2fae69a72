//! A DNS server that says what the test wants, on a free port of loopback, by UDP and TCP (RFC 1035 §4).

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard};

use super::helper::{Helper, eventually};
use super::wire::PATIENCE;

/// A record, behind the name that has it.
#[derive(Clone, Debug)]
pub(crate) enum Record {
    Ip(IpAddr),
    /// Priority, weight, port, target.
    Srv(u16, u16, u16, String),
}

/// What is said of a name.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// Those of the kind that was asked for, and for how many seconds they hold.
    Records(Vec<Record>, u32),
    /// The same; but when it is asked for IPv6 it fails.
    OnlyV4(Vec<Record>, u32),
    Fails,
    Nothing,
}

/// The server; names that it was not told of don't exist. It ends when it is dropped.
pub(crate) struct Dns {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    _helpers: [Helper; 2],
    end: Arc<Mutex<bool>>,
}

#[derive(Default)]
struct Zone {
    names: BTreeMap<String, Says>,
    /// Questions for each name, and how many of all came over TCP.
    asked: BTreeMap<String, usize>,
    over_tcp: usize,
}

impl Dns {
    pub(crate) fn start() -> Self {
        let (udp, tcp) = sockets();
        let address = udp.local_addr().expect("the socket has an address");
        let zone = Arc::<Mutex<Zone>>::default();
        let end = Arc::<Mutex<bool>>::default();
        let helpers = [
            Helper::run({
                let (zone, end) = (zone.clone(), end.clone());
                move || serve_datagrams(&udp, &zone, &end)
            }),
            Helper::run({
                let (zone, end) = (zone.clone(), end.clone());
                move || serve_connections(&tcp, &zone, &end)
            }),
        ];
        Self { address, zone, _helpers: helpers, end }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the name has these addresses, for so many seconds each time.
    pub(crate) fn has(&self, name: &str, addresses: &[&str], ttl: u32) {
        self.says(name, Says::Records(addresses.iter().map(|address| ip(address)).collect(), ttl));
    }

    pub(crate) fn says(&self, name: &str, says: Says) {
        self.zone().names.insert(name.to_owned(), says);
    }

    /// From now on the name doesn't exist.
    pub(crate) fn forgets(&self, name: &str) {
        self.zone().names.remove(name);
    }

    /// How often it was asked for the name: twice for its addresses.
    pub(crate) fn asked(&self, name: &str) -> usize {
        self.zone().asked.get(name).copied().unwrap_or_default()
    }

    /// Waits until it was asked so often.
    pub(crate) fn wait_until_asked(&self, name: &str, times: usize) {
        eventually("it was asked", || self.asked(name) >= times);
    }

    /// How many questions came over TCP.
    pub(crate) fn over_tcp(&self) -> usize {
        self.zone().over_tcp
    }

    fn zone(&self) -> MutexGuard<'_, Zone> {
        self.zone.lock().expect("nobody panics while holding this")
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        *self.end.lock().expect("nobody panics while holding this") = true;
        // Both wait for somebody; that this may come too late does no harm.
        let _datagram = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(&[], self.address));
        let _connection = TcpStream::connect(self.address);
    }
}

pub(crate) fn ip(address: &str) -> Record {
    Record::Ip(address.parse().expect("an address"))
}

/// Two sockets with the same port.
fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = tcp.local_addr().expect("the socket has an address");
        if let Ok(udp) = UdpSocket::bind(address) {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both");
}

fn is_over(end: &Mutex<bool>) -> bool {
    *end.lock().expect("nobody panics while holding this")
}

fn serve_datagrams(socket: &UdpSocket, zone: &Mutex<Zone>, end: &Mutex<bool>) {
    let mut buffer = [0; 2048];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).expect("datagrams can be read");
        if is_over(end) {
            return;
        }
        let Some(mut answer) = answer(&buffer[..length], zone) else { continue };
        if answer.len() > 512 {
            // Too long: the question comes again over TCP (RFC 1035 §4.2.1).
            let question = question_end(&answer);
            answer.truncate(question);
            answer[2] |= 0b10;
            answer[6..8].fill(0);
        }
        // Who has asked may have gone.
        let _sent = socket.send_to(&answer, from);
    }
}

fn serve_connections(listener: &TcpListener, zone: &Mutex<Zone>, end: &Mutex<bool>) {
    loop {
        let (mut stream, _) = listener.accept().expect("connections can be taken");
        if is_over(end) {
            return;
        }
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let mut length = [0; 2];
        while stream.read_exact(&mut length).is_ok() {
            let mut question = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut question).expect("a question is whole");
            zone.lock().expect("nobody panics while holding this").over_tcp += 1;
            let Some(answer) = answer(&question, zone) else { continue };
            let length = u16::try_from(answer.len()).expect("the answer fits");
            stream.write_all(&[&length.to_be_bytes()[..], &answer].concat()).expect("the answer is taken");
        }
    }
}

/// The answer to a question; none where nothing is said.
fn answer(question: &[u8], zone: &Mutex<Zone>) -> Option<Vec<u8>> {
    let end = question_end(question);
    let name = read_name(&question[12..]);
    let kind = u16::from_be_bytes([question[end - 4], question[end - 3]]);
    let says = {
        let mut zone = zone.lock().expect("nobody panics while holding this");
        *zone.asked.entry(name.clone()).or_default() += 1;
        zone.names.get(&name).cloned()
    };
    let (records, ttl, code) = match says {
        None => (Vec::new(), 0, NO_SUCH_NAME),
        Some(Says::Nothing) => return None,
        Some(Says::OnlyV4(..)) if kind == AAAA => (Vec::new(), 0, SERVER_FAILURE),
        Some(Says::Fails) => (Vec::new(), 0, SERVER_FAILURE),
        Some(Says::Records(records, ttl) | Says::OnlyV4(records, ttl)) => (records, ttl, 0),
    };
    let answers: Vec<_> = records.iter().map(encode).filter(|(of, _)| *of == kind).collect();
    // An answer with authority; one question, so many answers.
    let mut message = question[..2].to_vec();
    message.extend([0b1000_0101, 0b1000_0000 | code, 0, 1]);
    message.extend(u16::try_from(answers.len()).expect("not that many").to_be_bytes());
    message.extend([0; 4]);
    message.extend(&question[12..end]);
    for (of, data) in answers {
        // The name is that of the question, which begins at byte 12.
        message.extend([0xc0, 12]);
        message.extend(of.to_be_bytes());
        message.extend(1_u16.to_be_bytes());
        message.extend(ttl.to_be_bytes());
        message.extend(u16::try_from(data.len()).expect("not that long").to_be_bytes());
        message.extend(data);
    }
    Some(message)
}

/// The kind of a record, and its data.
fn encode(record: &Record) -> (u16, Vec<u8>) {
    match record {
        Record::Ip(IpAddr::V4(ip)) => (A, ip.octets().to_vec()),
        Record::Ip(IpAddr::V6(ip)) => (AAAA, ip.octets().to_vec()),
        Record::Srv(priority, weight, port, target) => {
            let numbers = [priority, weight, port].map(|number| number.to_be_bytes());
            let mut data = numbers.concat();
            for label in target.split('.').filter(|label| !label.is_empty()) {
                data.push(u8::try_from(label.len()).expect("a short label"));
                data.extend(label.as_bytes());
            }
            data.push(0);
            (SRV, data)
        }
    }
}

/// Where the only question of a message ends.
fn question_end(message: &[u8]) -> usize {
    let name = message[12..].iter().position(|byte| *byte == 0).expect("a name ends with the root");
    12 + name + 1 + 4
}

fn read_name(mut bytes: &[u8]) -> String {
    let mut labels = Vec::new();
    while let [length, rest @ ..] = bytes
        && *length > 0
    {
        let (label, rest) = rest.split_at((*length).into());
        labels.push(String::from_utf8(label.to_vec()).expect("a label of text").to_ascii_lowercase());
        bytes = rest;
    }
    labels.join(".")
}

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const SERVER_FAILURE: u8 = 2;
const NO_SUCH_NAME: u8 = 3;
