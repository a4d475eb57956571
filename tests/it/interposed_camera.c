/* A camera that is served inside the program which opens it, as libcamera's libcamerify does: whoever opens
 * /dev/video63 through libc's symbols gets an eventfd, on which the kernel itself answers neither ioctl nor mmap. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define NODE "/dev/video63"
#define WIDTH 64
#define HEIGHT 48
#define SIZE (WIDTH * HEIGHT * 2)
#define PLACE 65536 /* from buffer to buffer: whole pages */
#define MOST 32
#define NEXT(function) ((__typeof__(&function))dlsym(RTLD_NEXT, #function))

static int camera = -1, memory = -1, streaming;
static unsigned buffers, mapped, frames;
static unsigned queue[MOST], queued; /* the driver's buffers, the oldest first */

static int open_node(void)
{
	memory = memfd_create("buffers", MFD_CLOEXEC);
	return camera = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
}

static mode_t mode_of(int flags, va_list arguments)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
	va_list arguments;
	va_start(arguments, flags);
	mode_t mode = mode_of(flags, arguments);
	va_end(arguments);
	return strcmp(path, NODE) ? NEXT(open)(path, flags, mode) : open_node();
}

int open64(const char *path, int flags, ...)
{
	va_list arguments;
	va_start(arguments, flags);
	mode_t mode = mode_of(flags, arguments);
	va_end(arguments);
	return strcmp(path, NODE) ? NEXT(open64)(path, flags, mode) : open_node();
}

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset)
{
	if (fd < 0 || fd != camera)
		return NEXT(mmap)(at, length, protection, flags, fd, offset);
	if (!(protection & PROT_READ) || !(flags & MAP_SHARED) || length != SIZE) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	void *map = NEXT(mmap)(at, length, protection, flags, memory, offset);
	mapped += map != MAP_FAILED;
	return map;
}

int munmap(void *at, size_t length)
{
	if (length == SIZE && mapped)
		mapped--;
	return NEXT(munmap)(at, length);
}

int close(int fd)
{
	if (fd >= 0 && fd == camera) {
		const char *said = mapped || streaming || buffers ? "camera: left in disorder\n" : "camera: left in order\n";
		if (write(STDERR_FILENO, said, strlen(said)) < 0)
			_exit(86);
		camera = -1;
		NEXT(close)(memory);
	}
	return NEXT(close)(fd);
}

static void fill(void)
{
	uint64_t one = 1;
	if (write(camera, &one, sizeof one) < 0)
		_exit(86);
}

/* What libcamera knows; a rate can't be asked for. */
static int answer(unsigned long request, void *argument)
{
	switch (request) {
	case VIDIOC_QUERYCAP: {
		struct v4l2_capability *it = argument;
		strcpy((char *)it->driver, "interposed");
		strcpy((char *)it->card, "Interposed camera");
		it->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
		it->capabilities = it->device_caps | V4L2_CAP_DEVICE_CAPS;
		return 0;
	}
	case VIDIOC_ENUM_FMT: {
		struct v4l2_fmtdesc *it = argument;
		it->pixelformat = V4L2_PIX_FMT_YUYV;
		return it->index ? EINVAL : 0;
	}
	case VIDIOC_ENUM_FRAMESIZES: {
		struct v4l2_frmsizeenum *it = argument;
		it->type = V4L2_FRMSIZE_TYPE_DISCRETE;
		it->discrete.width = WIDTH;
		it->discrete.height = HEIGHT;
		return it->index ? EINVAL : 0;
	}
	case VIDIOC_S_FMT: {
		struct v4l2_pix_format *it = &((struct v4l2_format *)argument)->fmt.pix;
		*it = (struct v4l2_pix_format){ .width = WIDTH, .height = HEIGHT, .pixelformat = V4L2_PIX_FMT_YUYV,
			.field = V4L2_FIELD_NONE, .bytesperline = WIDTH * 2, .sizeimage = SIZE,
			.colorspace = V4L2_COLORSPACE_SRGB };
		return 0;
	}
	case VIDIOC_REQBUFS: {
		struct v4l2_requestbuffers *it = argument;
		if (mapped || streaming)
			return EBUSY;
		buffers = it->count = it->count < MOST ? it->count : MOST;
		queued = 0;
		return ftruncate(memory, (off_t)buffers * PLACE) ? errno : 0;
	}
	case VIDIOC_QUERYBUF: {
		struct v4l2_buffer *it = argument;
		it->length = SIZE;
		it->m.offset = it->index * PLACE;
		return it->index < buffers ? 0 : EINVAL;
	}
	case VIDIOC_QBUF: {
		struct v4l2_buffer *it = argument;
		if (it->index >= buffers || queued == buffers)
			return EINVAL;
		queue[queued++] = it->index;
		if (streaming)
			fill();
		return 0;
	}
	case VIDIOC_DQBUF: {
		struct v4l2_buffer *it = argument;
		uint64_t one;
		struct timespec now;
		if (read(camera, &one, sizeof one) < 0)
			return EAGAIN;
		clock_gettime(CLOCK_MONOTONIC, &now);
		it->index = queue[0];
		memmove(queue, queue + 1, --queued * sizeof *queue);
		it->bytesused = SIZE;
		it->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
		it->timestamp.tv_sec = now.tv_sec;
		it->timestamp.tv_usec = now.tv_nsec / 1000;
		it->sequence = frames++;
		return 0;
	}
	case VIDIOC_STREAMON:
		streaming = 1;
		for (unsigned i = 0; i < queued; i++)
			fill();
		return 0;
	case VIDIOC_STREAMOFF:
		streaming = 0;
		return 0;
	default:
		return ENOTTY;
	}
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	va_start(arguments, request);
	void *argument = va_arg(arguments, void *);
	va_end(arguments);
	if (fd < 0 || fd != camera)
		return NEXT(ioctl)(fd, request, argument);
	int error = answer(request, argument);
	errno = error;
	return error ? -1 : 0;
}
