#include "hidet_core/emulator/driver/queues.h"

#include <utility>

namespace hidet::emu {

Queues::Queues(Machine* machine) : machine_(machine), legacy_(NewStream(true)) {}

std::shared_ptr<Stream> Queues::NewStream(bool blocking) {
  auto stream = std::make_shared<Stream>();
  stream->id = ++last_id_;
  stream->blocking = blocking;
  streams_.emplace(stream->id, stream);
  return stream;
}

void Queues::Submit(Stream& stream, Operation operation) {
  Order others = host_;
  if (&stream == legacy_.get()) {
    for (const auto& [id, other] : streams_) {
      if (other->blocking && other.get() != &stream) others.Join(other->tail);
    }
  } else if (stream.blocking) {
    others.Join(legacy_->tail);
  }
  Order before = stream.tail;
  before.Join(others);
  // The kernel before may itself let others start before it knows what came before it.
  const auto* launch = std::get_if<Launch>(&operation);
  std::optional<Order> early;
  if (launch != nullptr && launch->programmatic && stream.early.has_value()) {
    early = stream.early;
    early->Join(others);
  }
  stream.early.reset();
  if (launch != nullptr) stream.early = early.has_value() ? early : before;
  const uint64_t number = ++stream.submitted;
  stream.tail = before;
  stream.tail.Include(stream.id, number);
  stream.queue.push_back(Work{std::move(operation), std::move(before), std::move(early), number});
  if (machine_->seed == 0) {
    while (!Done(stream.tail)) RunOne();
  }
}

bool Queues::Done(const Order& order) const {
  for (const auto& [id, number] : order.last()) {
    const auto found = streams_.find(id);
    if (found != streams_.end() && found->second->done < number) return false;
  }
  return true;
}

void Queues::RunOne() {
  std::vector<Stream*> ready;
  for (const auto& [id, stream] : streams_) {
    if (!stream->queue.empty() && Done(stream->queue.front().before)) {
      ready.push_back(stream.get());
    }
  }
  const size_t pick = machine_->seed > 1 ? random_() % ready.size() : ready.size() - 1;
  Stream& stream = *ready[pick];
  const Work work = std::move(stream.queue.front());
  stream.queue.pop_front();
  stream.done = work.number;
  try {
    Execute(work.operation, *machine_,
            GlobalShadow::Work{Name(work.operation), stream.id, work.number, work.before,
                               work.early});
  } catch (const Fault& fault) {
    throw DeviceFault{fault};
  }
}

void Queues::Wait(const Order& order) {
  while (!Done(order)) RunOne();
  Learn(order);
}

void Queues::WaitAll() {
  Order all;
  for (const auto& [id, stream] : streams_) all.Join(stream->tail);
  Wait(all);
}

bool Queues::Poll(const Order& order) {
  if (!Done(order)) {
    RunOne();
    return false;
  }
  Learn(order);
  return true;
}

// The host has waited for these; when it has for all, history may be forgotten.
void Queues::Learn(const Order& order) {
  host_.Join(order);
  for (auto next = streams_.begin(); next != streams_.end();) {
    const Stream& stream = *next->second;
    if (stream.done != stream.submitted || !Done(stream.tail)) return;
    if (stream.done > 0 && !host_.Knows(stream.id, stream.done)) return;
    next = next->second.use_count() == 1 ? streams_.erase(next) : std::next(next);
  }
  for (const auto& [id, stream] : streams_) {
    stream->tail = Order{};
    stream->early.reset();
    stream->tail.Include(id, stream->done);
  }
  host_ = Order{};
  machine_->shadow->Settle();
}

void Queues::Clear() {
  for (const auto& [id, stream] : streams_) {
    stream->queue.clear();
    stream->done = stream->submitted;
  }
}

}  // namespace hidet::emu
