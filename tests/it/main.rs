//! Integration tests, in one program: they share the models, the allocator and the time to link.

mod hand_over;
mod peers;
mod real_camera;

#[global_allocator]
static ALLOCATOR: palmd::health::CountingAllocator = palmd::health::CountingAllocator;
