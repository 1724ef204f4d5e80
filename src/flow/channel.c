#include "flow/flow_internal.h"

static bool grow(flow_channel *channel, const tarn_alloc *alloc) {
    size_t ring_size = channel->ring_size == 0 ? 8 : channel->ring_size * 2;
    flow_message *ring = tarn_alloc_new(alloc, flow_message, ring_size);
    if (ring == NULL) return false;
    for (size_t i = channel->head; i != channel->tail; i++) {
        ring[i & (ring_size - 1)] = channel->ring[i & (channel->ring_size - 1)];
    }
    tarn_alloc_free(alloc, channel->ring, channel->ring_size);
    channel->ring = ring;
    channel->ring_size = ring_size;
    return true;
}

bool flow_channel_push(flow_channel *channel, const tarn_alloc *alloc, flow_message message) {
    if (flow_channel_len(channel) == channel->ring_size && !grow(channel, alloc)) return false;
    channel->ring[channel->tail++ & (channel->ring_size - 1)] = message;
    return true;
}

bool flow_channel_pop(flow_channel *channel, flow_message *ret_message) {
    if (channel->head == channel->tail) return false;
    *ret_message = channel->ring[channel->head++ & (channel->ring_size - 1)];
    return true;
}

void flow_channel_free(flow_channel *channel, const tarn_alloc *alloc) {
    flow_message message;
    while (flow_channel_pop(channel, &message)) tarn_batch_unref(message.batch);
    tarn_alloc_free(alloc, channel->ring, channel->ring_size);
    channel->ring = NULL;
    channel->ring_size = 0;
}
